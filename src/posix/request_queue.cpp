#include "request_queue.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "messages.hpp"

namespace multiproc::os::posix {

namespace {

bool is_possible(const RequestHeader& header) noexcept {
    return header.kind <= RequestKind::leave && header.context_size <= largest_context &&
           header.descriptors <= max_descriptors;
}

}  // namespace

void RequestQueue::add(std::span<const unsigned char> bytes, std::vector<Handle> descriptors) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(std::exchange(used_, 0)));
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    for (Handle& handle : descriptors) descriptors_.push_back(std::move(handle));
}

std::optional<ReceivedRequest> RequestQueue::next() {
    ReceivedRequest request;
    RequestHeader& header = request.header;
    if (!sound_ || bytes_.size() - used_ < sizeof header) return std::nullopt;
    std::memcpy(&header, bytes_.data() + used_, sizeof header);
    if (!is_possible(header)) {
        sound_ = false;
        return std::nullopt;
    }
    if (bytes_.size() - used_ - sizeof header < header.context_size) return std::nullopt;
    used_ += sizeof header;
    request.context.assign(reinterpret_cast<const char*>(bytes_.data() + used_), header.context_size);
    used_ += header.context_size;
    while (request.descriptors.size() < header.descriptors && !descriptors_.empty()) {
        request.descriptors.push_back(std::move(descriptors_.front()));
        descriptors_.pop_front();
    }
    return request;
}

bool is_complete(const ReceivedRequest& request, std::size_t own) noexcept {
    const RequestHeader& header = request.header;
    const std::size_t fixed =
        4 + ((header.flags & has_directory) != 0 ? 1u : 0u) + ((header.flags & has_lifeline) != 0 ? 1u : 0u);
    return request.descriptors.size() + own >= std::max<std::size_t>(header.descriptors, fixed);
}

std::optional<ReceivedReply> check_reply(const Reply& reply, std::vector<Handle> attached) {
    // 1 is nobody's child but the system's.
    const bool is_child = reply.pid > 1 && reply.error == 0;
    const bool is_refusal = reply.pid == 0 && reply.error >= 0 && attached.empty();
    if (!is_child && !is_refusal) return std::nullopt;
    return ReceivedReply{reply, std::move(attached)};
}

}  // namespace multiproc::os::posix
