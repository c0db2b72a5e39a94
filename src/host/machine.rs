//! Owns: a number that tells this machine from its clones, for jitter: hosts that were copied from one that had run would rotate
//! in step otherwise.
//! Does not: let anybody learn the machine's id from it.

use aws_lc_rs::hmac;

/// An id of the machine, and of its boot where it has none (machine-id(5), proc_sys_kernel(5)).
const IDS: [&str; 2] = ["/etc/machine-id", "/proc/sys/kernel/random/boot_id"];

/// Names what it is derived for: another program, or another purpose, gets another number.
const APPLICATION: &[u8; 16] = b"renewd\0\0\0\0\0\0jit1";

/// Derived from the machine's id as sd_id128_get_machine_app_specific(3) does, by HMAC-SHA256 keyed with the id; 0 where there
/// is none.
pub fn number() -> u64 {
    let ids = IDS.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    ids.filter_map(|id| of(&id)).next().unwrap_or(0)
}

/// `None`: it is no id yet ("uninitialized").
fn of(id: &str) -> Option<u64> {
    let hex: String = id.trim().chars().filter(|c| *c != '-').collect();
    let id = data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok().filter(|id| id.len() == 16)?;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &id), APPLICATION);
    let first: [u8; 8] = tag.as_ref().get(..8)?.try_into().ok()?;
    Some(u64::from_le_bytes(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_has_its_number_and_what_is_none_has_none() {
        let one = of("0123456789abcdef0123456789abcdef\n");
        assert!(one.is_some());
        assert_eq!(one, of("01234567-89ab-cdef-0123-456789abcdef"), "a boot's id has hyphens");
        assert_ne!(one, of("0123456789abcdef0123456789abcdee"));
        for none in ["", "uninitialized", "0123"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
