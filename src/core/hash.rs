//! Owns: numbers that follow from bytes alone, the same in each run: nothing that is kept from one to the next depends on chance.
//! Does not: withstand whoever chooses the bytes; see `crypto`.

/// FNV-1a.
pub(super) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The finalizer of SplitMix64.
pub(super) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// For tables of names.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    mix(fnv(bytes))
}
