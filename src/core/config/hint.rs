//! Owns: what the writer of a wrong value most likely meant, written as it must be: `mode = "0640"` for 0640.
//! Does not: decide that a value is wrong.

use toml::de::{DeInteger, DeValue};

use crate::core::config::keys::{self, KeyEntries, ValueKind};
use crate::core::printable::is_unseen;
use crate::core::redact::looks_opaque;

/// A mode as octal digits in a string: of an integer, of digits without quotes, of `rw-r-----` and of `u=rw,g=r`.
pub(super) fn mode(text: &str) -> Option<String> {
    let text = text.trim();
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let bits = match digits.bytes().all(|b| b.is_ascii_digit()) {
        true => by_digits(digits, digits.len() < text.len() || text.starts_with('0'))?,
        false => by_letters(text).or_else(|| by_classes(text))?,
    };
    Some(format!("{bits:04o}"))
}

/// The same of an integer of TOML.
pub(super) fn mode_of(number: &DeInteger<'_>) -> Option<String> {
    match number.radix() {
        8 => mode(&format!("0o{}", number.as_str())),
        10 => mode(number.as_str()),
        _ => u32::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|b| *b <= 0o7777)
            .map(|b| format!("{b:04o}")),
    }
}

/// Digits are octal, as chmod(1) takes them; 420 is 0644 in decimal, as Kubernetes writes it.
fn by_digits(digits: &str, octal: bool) -> Option<u32> {
    let read = |radix| u32::from_str_radix(digits, radix).ok().filter(|bits| *bits <= 0o7777);
    let likely = |bits: &u32| {
        let (owner, group, others) = (bits >> 6 & 7, bits >> 3 & 7, bits & 7);
        owner & 4 != 0 && (group | others) & !owner == 0
    };
    let plain = read(8);
    if octal {
        return plain;
    }
    plain.filter(likely).or_else(|| read(10).filter(likely)).or(plain)
}

/// `rw-r-----`, with or without the file's kind that ls(1) puts first.
fn by_letters(text: &str) -> Option<u32> {
    let text = if text.len() == 10 { text.get(1..)? } else { text };
    if text.len() != 9 {
        return None;
    }
    text.bytes().zip("rwxrwxrwx".bytes()).try_fold(0, |bits, (is, set)| match is {
        b'-' => Some(bits << 1),
        _ if is == set => Some(bits << 1 | 1),
        _ => None,
    })
}

/// `u=rw,g=r`, as chmod(1) takes it.
fn by_classes(text: &str) -> Option<u32> {
    text.split(',').try_fold(0, |bits, class| {
        let (who, what) = class.trim().split_once('=')?;
        let what = what.bytes().try_fold(0, |bits, letter| match letter {
            b'r' => Some(bits | 4),
            b'w' => Some(bits | 2),
            b'x' => Some(bits | 1),
            _ => None,
        })?;
        who.bytes().try_fold(bits, |bits, who| match who {
            b'u' => Some(bits | what << 6),
            b'g' => Some(bits | what << 3),
            b'o' => Some(bits | what),
            b'a' => Some(bits | what << 6 | what << 3 | what),
            _ => None,
        })
    })
}

/// A number of seconds as a duration with its unit.
pub(super) fn seconds(value: &DeValue<'_>) -> Option<String> {
    let whole = match value {
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
        DeValue::Float(number) => number.as_str().strip_suffix(".0").and_then(|whole| whole.parse().ok()),
        _ => None,
    };
    whole.filter(|seconds| *seconds < 1_000_000_000_000).map(|seconds| format!("{seconds}s"))
}

/// A word that means yes or no.
pub(super) fn truth(value: &DeValue<'_>) -> Option<bool> {
    let word = match value {
        DeValue::String(word) => word.to_ascii_lowercase(),
        DeValue::Integer(number) => number.as_str().to_owned(),
        _ => return None,
    };
    match word.as_str() {
        "true" | "yes" | "on" | "y" | "1" => Some(true),
        "false" | "no" | "off" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// A fraction that was written as a string or in percent.
pub(super) fn fraction(text: &str) -> Option<f64> {
    let text = text.trim();
    let number = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok()? / 100.0,
        None => text.parse::<f64>().ok()?,
    };
    (0.0..1.0).contains(&number).then_some(number)
}

/// A string where a list of them is wanted. A command's words are taken apart where no quoting was needed.
pub(super) fn list(name: &str, text: &str) -> String {
    if looks_opaque(text) || text.chars().any(is_unseen) || text.len() > 80 {
        return format!("in brackets: {name} = [\"...\"]");
    }
    let plain = !text.contains(['"', '\'', '\\', '$', '|', '&', ';', '<', '>', '*', '`']);
    let words: Vec<&str> = match name == "command" && plain {
        true => text.split_whitespace().collect(),
        false => vec![text],
    };
    let words: Vec<String> = words.iter().map(|word| keys::toml_text(word)).collect();
    format!("in brackets: {name} = [{}]", words.join(", "))
}

/// `secret.file` for `secret_file`: a key of a table of these, whose name was run together.
pub(super) fn dotted(keys: KeyEntries, name: &str) -> Option<String> {
    keys.iter().copied().flatten().find_map(|key| {
        let ValueKind::Table(inner) = key.kind else { return None };
        let rest = name.strip_prefix(key.name)?.strip_prefix(['_', '-', '.'])?;
        let found = keys::find(inner, rest).map(|found| found.name).or_else(|| keys::nearest(inner, rest))?;
        Some(format!("{}.{found}", key.name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_they_were_meant() {
        for (text, meant) in [
            ("0640", "0640"),
            ("640", "0640"),
            ("0o640", "0640"),
            ("600", "0600"),
            ("2750", "2750"),
            ("420", "0644"),
            ("416", "0640"),
            ("384", "0600"),
            ("rw-r-----", "0640"),
            ("-rw-r--r--", "0644"),
            ("u=rw,g=r", "0640"),
            ("ug=rw", "0660"),
            ("a=r,u=rw", "0644"),
        ] {
            assert_eq!(mode(text).as_deref(), Some(meant), "{text}");
        }
        for text in ["", "u+r", "rw-r----", "x=r", "u=q", "99999", "-1", "read"] {
            assert_eq!(mode(text), None, "{text}");
        }
    }

    #[test]
    fn keys_that_were_run_together_are_taken_apart() {
        let jwt = keys::sources(crate::core::config::ROOT)[0].keys;
        assert_eq!(dotted(jwt, "secret_file").as_deref(), Some("secret.file"));
        assert_eq!(dotted(jwt, "private_key_file").as_deref(), Some("private_key.file"));
        assert_eq!(dotted(jwt, "secret.file").as_deref(), Some("secret.file"));
        assert_eq!(dotted(jwt, "retry_max").as_deref(), Some("retry.max"));
        assert_eq!(dotted(jwt, "secretive"), None);
    }

    #[test]
    fn a_list_is_shown_with_what_was_written_unless_it_may_be_a_secret() {
        assert_eq!(list("units", "job.service"), "in brackets: units = [\"job.service\"]");
        assert_eq!(list("command", "systemctl reload x"), "in brackets: command = [\"systemctl\", \"reload\", \"x\"]");
        assert_eq!(list("command", "sh -c 'a b'"), "in brackets: command = [\"sh -c 'a b'\"]");
        assert_eq!(list("command", "x 07c6e2t1rb92987fnrd705jkk8582p9e"), "in brackets: command = [\"...\"]");
    }
}
