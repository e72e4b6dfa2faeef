// Blocks of shared memory that items of queues refer to.
//
// Nobody knows which process will take an item out, nor whether the one that has put it in lives by then. So the first
// process of the program keeps a handle of the block meanwhile (os::HandleStore), and in the arena an object stands for
// it, which the item's parcel owns. When that object goes, wherever and however that is, so does the handle: an item that
// is lost with a process, or with its queue, leaves nothing behind.
//
// The object belongs to one parcel only, so there is nothing to count that a death could leave counted wrongly. That
// several refer to the same block is the store's business.
#pragma once

#include "arena.hpp"
#include "shared_block.hpp"

namespace multiproc {

// A new object that stands for the block, held by this process. Throws std::bad_alloc and std::system_error.
Arena::Ref store_block(Arena& arena, const detail::SharedBlock& block);
// Whether that is such an object; the caller holds it.
bool is_stored_block(const Arena& arena, Arena::Ref ref) noexcept;
// The block that it stands for, as long as whoever owns the object is held. Throws std::system_error.
detail::BlockRef fetch_block(const Arena& arena, Arena::Ref ref);

}  // namespace multiproc
