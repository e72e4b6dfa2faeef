#include "segment_cache.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include <multiproc/errors.hpp>

#include "die_here.hpp"

namespace multiproc {

bool SegmentSource::is_free(const Place& place) noexcept {
    // Copies of the pointer are made under the mutex only, from a place that is free, so a count of one stays one.
    return place.segment.use_count() == 1 && head_of(*place.segment).in_use.load(std::memory_order_acquire) == 0;
}

SegmentLease SegmentSource::acquire(std::size_t bytes) {
    constexpr std::size_t granule = 64 * 1024;
    if (bytes > SIZE_MAX - segment_payload - granule) throw std::bad_alloc();
    const std::size_t needed = bytes + segment_payload;

    std::unique_lock lock(mutex_);
    Place* fitting = nullptr;
    Place* replaceable = nullptr;
    for (Place& place : places_) {
        if (!place.segment) {
            replaceable = &place;
        } else if (is_free(place)) {
            const bool fits = place.segment->size() >= needed;
            if (fits && (fitting == nullptr || place.segment->size() < fitting->segment->size())) fitting = &place;
            if (!fits && replaceable == nullptr) replaceable = &place;
        }
    }
    if (fitting == nullptr && needed <= largest_kept_segment && replaceable != nullptr) {
        // A little larger than asked for, so that the next message of about this size fits too.
        const std::size_t size = (needed + needed / 8 + granule - 1) / granule * granule;
        replaceable->segment = std::make_shared<os::Segment>(os::Segment::create(size));
        ++replaceable->generation;
        fitting = replaceable;
    }
    if (fitting != nullptr)
        return {fitting->segment, static_cast<std::uint32_t>(fitting - places_.data()), fitting->generation};
    lock.unlock();
    return {std::make_shared<os::Segment>(os::Segment::create(needed)), segment_places, 0};
}

SegmentLease SegmentSource::keep(std::span<const std::byte> message, std::span<const std::byte> rest) {
    if (message.size() > SIZE_MAX - segment_payload - rest.size()) throw std::bad_alloc();
    const std::size_t size = segment_payload + message.size() + rest.size();
    const SegmentLease lease{std::make_shared<os::Segment>(os::Segment::create(size)), segment_places, 0};
    std::copy(rest.begin(), rest.end(), std::copy(message.begin(), message.end(), lease.data()));
    return lease;
}

SegmentRef SegmentPeer::refer(const SegmentLease& lease, std::size_t bytes, os::HandleLink& link) {
    SegmentRef ref{};
    ref.bytes = bytes;
    ref.size = lease.segment->size();
    ref.place = lease.place;
    if (lease.place >= segment_places || known_[lease.place] != lease.generation) {
        ref.token = link.send(lease.segment->handle());
        die_here(DeathPoint::segment_sent);
        ref.has_handle = 1;
        if (lease.place < segment_places) known_[lease.place] = lease.generation;
    }
    return ref;
}

std::shared_ptr<os::Segment> SegmentStore::open(const SegmentRef& ref, os::HandleLink& link) {
    std::shared_ptr<os::Segment> segment;
    if (ref.has_handle != 0) {
        segment = std::make_shared<os::Segment>(
            os::Segment::adopt(link.receive(ref.token), static_cast<std::size_t>(ref.size), access_));
        die_here(DeathPoint::segment_received);
        segment->drop_handle();  // thousands of results may be kept at once
        if (ref.place < segment_places) places_[ref.place] = segment;
    } else if (ref.place < segment_places) {
        segment = places_[ref.place];
    }
    if (!segment || segment->size() < segment_payload || ref.bytes > segment->size() - segment_payload)
        throw CodecError("multiproc: a message refers to shared memory that was not sent with it");
    return segment;
}

void SpillBuffer::reset() noexcept {
    lease_ = {};
    take_attachments();
    begin_ = cursor_ = block_.get();
    limit_ = begin_ + block_size_;
}

std::vector<detail::Attachment> SpillBuffer::take_objects() {
    std::vector<detail::Attachment> all = take_attachments(), objects;
    for (detail::Attachment& shared : all) {
        const bool is_object = shared->kind() == detail::Shared::Kind::object;
        (is_object ? objects : attachment_storage()).push_back(std::move(shared));
    }
    return objects;
}

std::unique_ptr<std::byte[]> SpillBuffer::take_block() noexcept {
    begin_ = cursor_ = limit_ = nullptr;
    block_size_ = 0;
    return std::move(block_);
}

void SpillBuffer::grow(std::size_t more) {
    const std::size_t used = size();
    if (more > SIZE_MAX / 2 - used) throw std::bad_alloc();
    const std::size_t needed = used + more;
    if (needed <= inline_limit) {
        const std::size_t room = std::min(inline_limit, needed + needed / 2 + 256);
        std::unique_ptr<std::byte[]> block(new std::byte[room]);
        if (used != 0) std::memcpy(block.get(), begin_, used);
        block_ = std::move(block);
        block_size_ = room;
        begin_ = block_.get();
        limit_ = begin_ + room;
    } else {
        // A single large append (an array) gets exactly its size; many small ones get room to grow into.
        SegmentLease larger = source_->acquire(is_spilled() || used > more ? needed + needed / 2 : needed + 4096);
        if (used != 0) std::memcpy(larger.data(), begin_, used);
        lease_ = std::move(larger);
        begin_ = lease_.data();
        limit_ = begin_ + lease_.capacity();
    }
    cursor_ = begin_ + used;
}

}  // namespace multiproc
