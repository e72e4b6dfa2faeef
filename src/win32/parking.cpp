// WaitOnAddress does not cross processes, so a thread sleeps on an auto-reset event. One event per slot exists in the
// whole family, made when somebody first sleeps there, and it is kept alive by the process that created the lot: its
// handle value *there* stands in a table in shared memory, and whoever needs the event copies it from that process. So
// a child inherits two handles instead of a thousand, and a wake-up where nobody ever slept costs no call at all.
//
// A wait with a deadline takes a timer along: the timeout of the wait functions counts in ticks of the system, 15.6 ms
// unless somebody asked for shorter ones.
//
// The family does not outlive the process that created the lot (see parent_death.cpp). Until its members have noticed
// its end, sleeping becomes polling.
#include <algorithm>
#include <array>
#include <limits>
#include <new>
#include <ratio>
#include <system_error>

#include "win32/api.hpp"

namespace multiproc::os {

namespace {

constexpr std::uint64_t table_magic = 0x31746F6C6B726170U;

struct Table {
    std::uint64_t magic;
    std::uint64_t secret;
    // 0, or the creator's handle value with a check: a process that scribbles over the table must not make others wait
    // for, or set, arbitrary objects of the creator. An entry that is set never changes.
    std::array<std::atomic<std::uint64_t>, ParkingLot::slot_count> entries;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

std::uint64_t check_of(std::uint64_t secret, std::size_t slot, std::uint32_t value) noexcept {
    return mix(mix(secret, slot), value) & 0xFFFFFFFF00000000U;
}

// The system guarantees that handles have 32 significant bits, also in 64-bit processes.
std::uint64_t entry_of(std::uint64_t secret, std::size_t slot, HANDLE handle) noexcept {
    const auto value = static_cast<std::uint32_t>(raw(handle));
    return check_of(secret, slot, value) | value;
}

HANDLE handle_of(std::uint64_t secret, std::size_t slot, std::uint64_t entry) noexcept {
    const auto value = static_cast<std::uint32_t>(entry);
    if ((entry & 0xFFFFFFFF00000000U) != check_of(secret, slot, value)) return nullptr;
    return native(static_cast<RawHandle>(value));
}

using Ticks = std::chrono::duration<std::int64_t, std::ratio<1, 10'000'000>>;  // the unit of the system's timers

// Not every compiler's headers have CREATE_WAITABLE_TIMER_HIGH_RESOLUTION. Systems before Windows 10 1803 refuse it.
constexpr DWORD high_resolution_timer = 0x2;

// Null where there is none.
Handle make_timer() noexcept {
    return own(CreateWaitableTimerExW(nullptr, nullptr, high_resolution_timer, TIMER_MODIFY_STATE | SYNCHRONIZE));
}

class EventParkingLot final : public ParkingLot {
public:
    EventParkingLot(Segment table, Handle creator, bool is_creator)
        : segment_(std::move(table)),
          table_(reinterpret_cast<Table*>(segment_.data())),
          secret_(table_->secret),
          creator_(std::move(creator)),
          is_creator_(is_creator) {}

    EventParkingLot(const EventParkingLot&) = delete;
    EventParkingLot& operator=(const EventParkingLot&) = delete;

    ~EventParkingLot() override {
        for (const std::atomic<HANDLE>& event : events_) own(event.load(std::memory_order_relaxed)).reset();
        for (const std::atomic<HANDLE>& timer : timers_) own(timer.load(std::memory_order_relaxed)).reset();
        if (!is_creator_) return;
        for (std::size_t slot = 0; slot < slot_count; ++slot) {
            own(handle_of(secret_, slot, table_->entries[slot].exchange(0))).reset();
        }
    }

    std::vector<RawHandle> handles() const override { return {segment_.handle(), creator_.raw()}; }

    bool park(std::size_t slot, const std::atomic<std::uint32_t>& word, std::uint32_t expected,
              Deadline deadline) noexcept override {
        const HANDLE event = event_for_sleeping(slot);
        // Either this load sees the new word, or the waker, which changed it before its fence, sees the event that was
        // entered before this one.
        std::atomic_thread_fence(std::memory_order_seq_cst);
        if (word.load(std::memory_order_seq_cst) != expected) return true;
        if (event == nullptr) {  // no handle to be had, or the creator is dead: look again soon
            Sleep(1);
            return deadline == never || Clock::now() < deadline;
        }
        for (;;) {
            // A wake-up meant for an earlier sleeper at this slot returns at once, which is for no reason and allowed.
            if (is_set_before(deadline, slot, event)) return true;
            if (word.load(std::memory_order_acquire) != expected) return true;
            // The system's clock is another than ours, so it may find that the time is over before we do.
            if (deadline != never && Clock::now() >= deadline) return false;
        }
    }

    // The table names the events of all, and the creator's handle is power over that process.
    void keep_only(std::span<const std::size_t> slots) noexcept override {
        for (const std::size_t slot : slots) event_for_sleeping(slot);
        creator_.reset();
        table_ = nullptr;
        segment_ = Segment();
    }

    void unpark(std::size_t slot, const std::atomic<std::uint32_t>&) noexcept override {
        if (slot >= slot_count) return;
        std::atomic_thread_fence(std::memory_order_seq_cst);  // see `park`
        HANDLE event = events_[slot].load(std::memory_order_acquire);
        if (event == nullptr && table_ != nullptr) {
            const std::uint64_t entry = table_->entries[slot].load(std::memory_order_seq_cst);
            if (entry == 0) return;  // nobody has slept here, and who is about to will see the changed word
            event = keep(slot, copy_of(slot, entry));
        }
        if (event != nullptr) SetEvent(event);
    }

private:
    // Returns false when the time was over first.
    bool is_set_before(Deadline deadline, std::size_t slot, HANDLE event) noexcept {
        if (deadline == never) return WaitForSingleObject(event, INFINITE) != WAIT_TIMEOUT;
        const Clock::duration rest = deadline - Clock::now();
        if (rest <= Clock::duration::zero()) return WaitForSingleObject(event, 0) != WAIT_TIMEOUT;
        // Rounded up: waking too early would only mean another round.
        if (const HANDLE timer = timer_for_sleeping(slot)) {
            LARGE_INTEGER due;
            due.QuadPart = -std::chrono::ceil<Ticks>(rest).count();  // negative: from now on
            // It stays set when the event comes first; setting it anew begins afresh.
            if (SetWaitableTimer(timer, &due, 0, nullptr, nullptr, FALSE) != 0) {
                const HANDLE either[] = {event, timer};
                return WaitForMultipleObjects(2, either, FALSE, INFINITE) != WAIT_OBJECT_0 + 1;
            }
        }
        const std::int64_t whole = std::chrono::ceil<std::chrono::milliseconds>(rest).count();
        const auto timeout = static_cast<DWORD>(std::min<std::int64_t>(whole, std::numeric_limits<int>::max()));
        return WaitForSingleObject(event, timeout) != WAIT_TIMEOUT;
    }

    // One for each slot, since only one thread waits there; made when somebody first waits there for a limited time.
    HANDLE timer_for_sleeping(std::size_t slot) noexcept {
        HANDLE timer = timers_[slot].load(std::memory_order_relaxed);
        if (timer == nullptr) {
            Handle made = make_timer();
            if (!made) return nullptr;
            timer = native(made.release());
            timers_[slot].store(timer, std::memory_order_relaxed);
        }
        return timer;
    }

    HANDLE event_for_sleeping(std::size_t slot) noexcept {
        if (slot >= slot_count) return nullptr;
        if (const HANDLE event = events_[slot].load(std::memory_order_acquire)) return event;
        if (table_ == nullptr) return nullptr;
        std::uint64_t entry = table_->entries[slot].load(std::memory_order_acquire);
        if (entry != 0) return keep(slot, copy_of(slot, entry));

        Handle event = own(CreateEventW(nullptr, FALSE, FALSE, nullptr));
        if (!event) return nullptr;
        HANDLE in_creator = nullptr;  // owned by the creator; if we died right here, it would have one handle too many
        if (DuplicateHandle(GetCurrentProcess(), native(event.raw()), native(creator_.raw()), &in_creator, 0, FALSE,
                            DUPLICATE_SAME_ACCESS) == 0) {
            return nullptr;
        }
        if (table_->entries[slot].compare_exchange_strong(entry, entry_of(secret_, slot, in_creator))) {
            return keep(slot, std::move(event));
        }
        // Another process was first: its event is the one.
        DuplicateHandle(native(creator_.raw()), in_creator, nullptr, nullptr, 0, FALSE, DUPLICATE_CLOSE_SOURCE);
        return keep(slot, copy_of(slot, entry));
    }

    Handle copy_of(std::size_t slot, std::uint64_t entry) const noexcept {
        const HANDLE in_creator = handle_of(secret_, slot, entry);
        HANDLE copy = nullptr;
        if (in_creator == nullptr || DuplicateHandle(native(creator_.raw()), in_creator, GetCurrentProcess(), &copy,
                                                     EVENT_MODIFY_STATE | SYNCHRONIZE, FALSE, 0) == 0) {
            return {};
        }
        return own(copy);
    }

    // Puts `event` in this process's own table, unless another thread has.
    HANDLE keep(std::size_t slot, Handle event) noexcept {
        if (!event) return nullptr;
        HANDLE present = nullptr;
        if (!events_[slot].compare_exchange_strong(present, native(event.raw()))) return present;
        return native(event.release());
    }

    Segment segment_;
    Table* table_;          // null after `keep_only`
    std::uint64_t secret_;  // as it was when nobody could have scribbled over it
    Handle creator_;
    bool is_creator_;
    std::array<std::atomic<HANDLE>, slot_count> events_{};
    std::array<std::atomic<HANDLE>, slot_count> timers_{};
};

}  // namespace

std::unique_ptr<ParkingLot> ParkingLot::create() {
    Segment segment = Segment::create(sizeof(Table));
    auto* table = new (segment.data()) Table;
    table->magic = table_magic;
    table->secret = random_number();
    Handle self = duplicate_with(GetCurrentProcess(), PROCESS_DUP_HANDLE, false);
    return std::make_unique<EventParkingLot>(std::move(segment), std::move(self), true);
}

std::unique_ptr<ParkingLot> ParkingLot::adopt(std::vector<Handle> handles) {
    if (handles.size() != 2) {
        throw std::system_error(std::make_error_code(std::errc::bad_message), "a parking lot has two handles");
    }
    Segment segment = Segment::adopt(std::move(handles[0]), sizeof(Table));
    if (reinterpret_cast<Table*>(segment.data())->magic != table_magic || !is_object(handles[1].raw())) {
        throw std::system_error(std::make_error_code(std::errc::bad_message), "not a parking lot");
    }
    return std::make_unique<EventParkingLot>(std::move(segment), std::move(handles[1]), false);
}

void relax_cpu() noexcept { YieldProcessor(); }

void expect_to_write(const void* byte) noexcept {
#if defined(__x86_64__)
    __asm__ __volatile__("prefetchw %0" : : "m"(*static_cast<const char*>(byte)));
#else
    PreFetchCacheLine(PF_TEMPORAL_LEVEL_1, byte);
#endif
}

}  // namespace multiproc::os
