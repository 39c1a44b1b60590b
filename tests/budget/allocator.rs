//! The allocator of the binary that is shipped, with a count of what each thread asks it for.
//!
//! What lives here: counting. What must not: what is measured.
#![allow(unsafe_code, reason = "an allocator is asked by raw pointers; each call is handed on as it came")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

use mimalloc::MiMalloc;

thread_local! {
    static COUNT: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// Hands everything on to mimalloc.
pub struct Counting;

/// How often this thread has allocated, or grown what it had, and how many bytes it asked for.
pub fn counted() -> (u64, u64) {
    COUNT.get()
}

fn count(bytes: usize) {
    // A thread that ends may allocate when this is gone.
    let _ = COUNT.try_with(|count| {
        let (times, sum) = count.get();
        count.set((times + 1, sum + bytes as u64));
    });
}

// SAFETY: every call goes to mimalloc with the arguments that it came with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        unsafe { MiMalloc.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }
}
