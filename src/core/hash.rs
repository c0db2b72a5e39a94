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

/// For tables of names: eight bytes at a time, for names and paths are hashed over and over.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    // Their number tells apart what differs in zeros at its end alone.
    let all = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
    mix(all.fold(bytes.len() as u64, |hash, word| {
        let mixed = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 32)
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_that_are_much_alike_have_hashes_of_their_own() {
        let paths = (0..100_000).map(|i| format!("/run/renewd/out/t{i}.token"));
        let names = (0..100_000).map(|i| format!("t{i}"));
        let zeros = (0..20).map(|length| "\0".repeat(length));
        let hashes: Vec<u64> = paths.chain(names).chain(zeros).map(|name| hash(name.as_bytes())).collect();
        // What a table looks at: the seven upper bits, and as many lower ones as it has room for.
        let tops: HashSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
        let lows: HashSet<u64> = hashes.iter().map(|hash| hash & 0xfff).collect();
        assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), hashes.len());
        assert_eq!((tops.len(), lows.len()), (128, 4096));
    }
}
