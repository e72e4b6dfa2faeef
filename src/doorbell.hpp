// How the workers of a pool wake their parent: one page that all of them share.
//
// Two kinds of threads of the parent may sleep here: a thread that waits for a result ("the waiter", at most one sleeps
// at a time) and the pool's service thread. `mode` says who wants to be woken and for what; a worker that has something
// to tell takes the request out of `mode`, so that many results make one wake-up.
//
// No wake-up is lost: the parent announces its mode, then looks at the rings once more, then sleeps; a worker sends its
// record, then looks at the mode. Both put a full fence between their store and their load, so at least one of them
// sees what the other did.
#pragma once

#include <atomic>
#include <cstdint>

#include "die_here.hpp"
#include "os.hpp"
#include "ring.hpp"

namespace multiproc {

struct DoorbellPage {
    enum Mode : std::uint32_t {
        nobody,         // somebody is looking at the rings anyway
        waiter_low,     // wake the waiter when a worker runs out of tasks, or its result ring is full
        waiter,         //   also at every result
        service_stuck,  // wake the service thread when a worker's result ring is full
        service_low,    //   also when a worker runs out of tasks
        service_any,    //   also at every result
    };
    alignas(cache_line) std::atomic<std::uint32_t> mode;
    alignas(cache_line) std::atomic<std::uint32_t> waiter_word;
    alignas(cache_line) std::atomic<std::uint32_t> service_word;
};

// What a worker has to tell.
enum class News : std::uint8_t { result, low, stuck };

class Doorbell {
public:
    Doorbell() = default;
    Doorbell(DoorbellPage* page, os::ParkingLot* lot, std::uint32_t waiter_slot, std::uint32_t service_slot) noexcept
        : page_(page), lot_(lot), waiter_slot_(waiter_slot), service_slot_(service_slot) {}

    // Worker: call after the store that the news are about.
    void ring(News news) noexcept {
        if (page_ == nullptr) return;
        std::atomic_thread_fence(std::memory_order_seq_cst);
        std::uint32_t mode = page_->mode.load(std::memory_order_relaxed);
        if (!concerns(mode, news)) return;
        if (!page_->mode.compare_exchange_strong(mode, DoorbellPage::nobody, std::memory_order_seq_cst)) return;
        die_here(DeathPoint::bell_taken);
        if (mode == DoorbellPage::waiter || mode == DoorbellPage::waiter_low) {
            wake(page_->waiter_word, waiter_slot_);
        } else {
            wake(page_->service_word, service_slot_);
        }
    }

    // Parent: wakes whoever sleeps here, for something that is not in the rings.
    void wake_waiter() noexcept {
        if (page_ != nullptr) wake(page_->waiter_word, waiter_slot_);
    }
    void wake_service() noexcept {
        if (page_ != nullptr) wake(page_->service_word, service_slot_);
    }

    // Parent, in this order: take a ticket, announce, look at the rings, and if there is nothing, sleep.
    std::uint32_t waiter_ticket() const noexcept { return page_->waiter_word.load(std::memory_order_acquire); }
    std::uint32_t service_ticket() const noexcept { return page_->service_word.load(std::memory_order_acquire); }
    void announce(DoorbellPage::Mode mode) noexcept {
        page_->mode.store(mode, std::memory_order_relaxed);
        die_here(DeathPoint::bell_announced);
        std::atomic_thread_fence(std::memory_order_seq_cst);
    }
    std::uint32_t mode() const noexcept { return page_->mode.load(std::memory_order_relaxed); }
    void sleep_as_waiter(std::uint32_t ticket, os::Deadline deadline) noexcept {
        lot_->park(waiter_slot_, page_->waiter_word, ticket, deadline);
    }
    void sleep_as_service(std::uint32_t ticket, os::Deadline deadline) noexcept {
        lot_->park(service_slot_, page_->service_word, ticket, deadline);
    }

private:
    static bool concerns(std::uint32_t mode, News news) noexcept {
        switch (mode) {
            case DoorbellPage::waiter:
            case DoorbellPage::service_any: return true;
            case DoorbellPage::waiter_low:
            case DoorbellPage::service_low: return news != News::result;
            case DoorbellPage::service_stuck: return news == News::stuck;
            default: return false;
        }
    }
    void wake(std::atomic<std::uint32_t>& word, std::uint32_t slot) noexcept {
        word.fetch_add(1, std::memory_order_seq_cst);
        die_here(DeathPoint::bell_rung);
        lot_->unpark(slot, word);
    }

    DoorbellPage* page_ = nullptr;
    os::ParkingLot* lot_ = nullptr;
    std::uint32_t waiter_slot_ = 0;
    std::uint32_t service_slot_ = 0;
};

}  // namespace multiproc
