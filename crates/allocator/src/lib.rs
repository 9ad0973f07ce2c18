//! The memory allocator of every process that depends on this: mimalloc, with a count of how often it is asked.
//!
//! How often a program allocates says what an order costs where a clock on a busy machine does not. So every service counts, all
//! the time: it is one addition to a number that its thread has to itself.

use std::{
    alloc::{GlobalAlloc, Layout},
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: Counting = Counting(MiMalloc);

/// What threads have told so far.
static TOLD: AtomicU64 = AtomicU64::new(0);

/// A thread tells of so many at once: threads that told of each would fight for the place where it is written down.
const TOLD_AT_ONCE: u64 = 1_024;

thread_local! {
    /// What this thread has not told yet. It is made without memory and ends without a destructor, so it is there whenever
    /// memory is asked for, from the first instruction of a thread to its last.
    static UNTOLD: Cell<u64> = const { Cell::new(0) };
}

/// How often memory was asked for since the process began, by all threads; to make a piece larger or smaller counts as well.
/// Each thread may be behind by [`TOLD_AT_ONCE`].
pub fn allocations() -> u64 {
    TOLD.load(Ordering::Relaxed)
}

fn count() {
    UNTOLD.with(|untold| {
        let count = untold.get() + 1;
        if count == TOLD_AT_ONCE {
            TOLD.fetch_add(count, Ordering::Relaxed);
            untold.set(0);
        } else {
            untold.set(count);
        }
    });
}

struct Counting(MiMalloc);

#[expect(unsafe_code, reason = "the trait of allocators is unsafe to implement and to call")]
// SAFETY: every call goes to mimalloc as it came, and what mimalloc gives goes back as it is; counting touches no memory but a
// number of the thread and one of the process.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: whoever calls this has promised what mimalloc is promised
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above, and the piece came from mimalloc, since all do
        unsafe { self.0.realloc(piece, layout, size) }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        // SAFETY: as above
        unsafe { self.0.dealloc(piece, layout) };
    }
}

#[cfg(test)]
mod tests {
    use std::{hint::black_box, thread};

    use super::*;

    #[test]
    fn every_thread_counts_what_it_allocates() {
        let before = allocations();
        let threads = [(); 3].map(|()| {
            thread::spawn(|| {
                for number in 0..10 * TOLD_AT_ONCE {
                    black_box(Box::new(number));
                }
            })
        });
        for thread in threads {
            thread.join().expect("it does not panic");
        }
        // other threads of this program allocate as well
        assert!(allocations() - before >= 3 * 10 * TOLD_AT_ONCE, "{} were counted", allocations() - before);
    }
}
