//! Owns: which machine this is, as far as the times of rotations are drawn from it: hosts that were cloned from one that had
//! run have its state, and would all ask an issuer at the same moments.
//! Does not: keep the machine's id anywhere, or tell it to anybody.

use std::fs;

use aws_lc_rs::hmac;

/// machine-id(5); where there is none, as in many containers, what the kernel drew at its start (random(4)).
const IDS: [&str; 2] = ["/etc/machine-id", "/proc/sys/kernel/random/boot_id"];
/// Of renewd, for sd_id128_get_machine_app_specific(3): an id is confidential, and only a hash of it for one use goes further.
const APP: u128 = 0x6c1d_9a35_7e0f_4b52_9a84_0c37_d15e_e8f1;
/// In a seed: which machine drew it. The rest of it is random.
const TAG: u64 = 0xffff_ffff;

/// A machine by its hashed id.
pub(crate) struct Machine {
    key: hmac::Key,
    tag: u64,
}

impl Machine {
    /// `None` where the system has no id.
    pub(crate) fn here() -> Option<Self> {
        IDS.iter().find_map(|path| id(&fs::read_to_string(path).ok()?)).map(Self::of)
    }

    fn of(id: u128) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &id.to_be_bytes());
        let hashed = hmac::sign(&key, &APP.to_be_bytes());
        let key = hmac::Key::new(hmac::HMAC_SHA256, hashed.as_ref());
        let tag = number(&key, b"tag") & TAG;
        Self { key, tag }
    }

    /// A seed of this machine, from random bits.
    pub(crate) fn seal(&self, drawn: u64) -> u64 {
        drawn & !TAG | self.tag
    }

    /// False for a seed that another machine drew, or none that says.
    pub(crate) fn has_drawn(&self, seed: u64) -> bool {
        seed & TAG == self.tag
    }

    /// What the seed means on this machine.
    pub(crate) fn mix(&self, seed: u64) -> u64 {
        number(&self.key, &seed.to_le_bytes())
    }
}

fn number(key: &hmac::Key, of: &[u8]) -> u64 {
    hmac::sign(key, of).as_ref().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// 128 bits in hexadecimal, with or without dashes; not the word that stands there before the first start, and not all zero.
fn id(text: &str) -> Option<u128> {
    let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
    let is_whole = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u128::from_str_radix(&digits, 16).ok().filter(|id| is_whole && *id != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_the_system_writes_them() {
        let wanted = Some(0x3d12_19c7_c4c5_404a_aa1f_6d2a_48ad_fda4);
        assert_eq!(id("3d1219c7c4c5404aaa1f6d2a48adfda4\n"), wanted);
        assert_eq!(id("3d1219c7-c4c5-404a-aa1f-6d2a48adfda4\n"), wanted);
        for none in
            ["", "uninitialized\n", "00000000000000000000000000000000\n", "+d1219c7c4c5404aaa1f6d2a48adfda4", "3d12"]
        {
            assert_eq!(id(none), None, "{none}");
        }
    }

    #[test]
    fn a_seed_is_its_machines_own() {
        let (a, b) = (Machine::of(1), Machine::of(2));
        let seed = a.seal(0x1234_5678_9abc_def0);
        assert!(a.has_drawn(seed) && !b.has_drawn(seed));
        assert_eq!(seed >> 32, 0x1234_5678);
        assert_ne!(a.mix(seed), b.mix(seed));
        assert_eq!(a.mix(seed), Machine::of(1).mix(seed));
    }
}
