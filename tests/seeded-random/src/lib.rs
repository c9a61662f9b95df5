//! Replaces `getrandom` of the C library for a test binary that links this crate.
//!
//! The keys of std's hash maps come from it, and their order decides the order of work in kube's runner and scheduler. A thread that
//! called [`seed`] gets a stream that repeats from the seed; every other thread gets the system's randomness.

use std::cell::Cell;
use std::ffi::{c_uint, c_void};
use std::fs::File;
use std::io::Read as _;

thread_local! {
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From now on this thread's randomness repeats from `seed`. Call it first: a hash map's keys are drawn once a thread.
pub fn seed(seed: u64) {
    STATE.set(Some(seed));
}

/// SplitMix64 (Steele, Lea, Flood 2014): enough for hash keys, and four lines.
fn next(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state, bits ^ (bits >> 31))
}

fn fill(buffer: &mut [u8]) -> bool {
    match STATE.get() {
        Some(mut state) => {
            for chunk in buffer.chunks_mut(8) {
                let (after, bits) = next(state);
                state = after;
                let bytes = bits.to_le_bytes();
                chunk.copy_from_slice(&bytes[..chunk.len()]);
            }
            STATE.set(Some(state));
            true
        }
        None => File::open("/dev/urandom").and_then(|mut file| file.read_exact(buffer)).is_ok(),
    }
}

/// `getrandom(2)`. The linker takes this one before the C library's.
///
/// # Safety
/// As for the C function: `buffer` must be valid for writes of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, _flags: c_uint) -> isize {
    if length == 0 {
        return 0;
    }
    // SAFETY: the caller promises it, see above.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    if fill(bytes) { isize::try_from(length).unwrap_or(isize::MAX) } else { -1 }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::thread;

    fn order(seed: u64) -> Vec<u32> {
        let run = move || {
            super::seed(seed);
            let map: HashMap<u32, ()> = (0..100).map(|n| (n, ())).collect();
            map.into_keys().collect()
        };
        thread::spawn(run).join().unwrap()
    }

    #[test]
    fn hash_maps_repeat_from_the_seed() {
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }

    #[test]
    fn without_a_seed_they_do_not() {
        let run = || (0..100).map(|n| (n, ())).collect::<HashMap<u32, ()>>().into_keys().collect::<Vec<_>>();
        assert_ne!(thread::spawn(run).join().unwrap(), thread::spawn(run).join().unwrap());
    }
}
