//! Owns: the promise that a line of an env file is read by `. file` in sh as the very token.
//! Does not: ask docker or systemd, which take such lines literally anyway.

use std::process::Command;

use proptest::prelude::*;
use renewd::core::render::render;
use renewd::core::schedule::Life;
use renewd::core::secret::Secret;
use renewd::core::settings::{Format, TokenName};
use renewd::core::time::Wall;
use renewd::core::token::Token;

fn by_sh(folder: &std::path::Path, value: &str) -> Option<String> {
    let life = Life { issued_at: Wall(0), expires_at: None, obtained_at: Wall(0) };
    let token = Token::new(TokenName::new("a").unwrap(), Secret::new(value.to_owned()), life);
    let format = Format::Env { variable: "T".into(), expires_variable: None };
    let bytes = render([(&token, &format)]).ok()?;
    std::fs::write(folder.join("env"), bytes.expose()).unwrap();
    let done = Command::new("sh").args(["-c", ". ./env && printf %s \"$T\""]).current_dir(folder).output().unwrap();
    Some(String::from_utf8(done.stdout).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn sh_reads_what_was_written(value in "[ -~]{0,12}|[a~:=%^@-]{0,8}|[A-Za-z0-9._+/=,:@%^~!#-]{0,40}") {
        let folder = tempfile::tempdir().unwrap();
        if let Some(read) = by_sh(folder.path(), &value) {
            prop_assert_eq!(read, value);
        }
    }
}

#[test]
fn the_whole_alphabet_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let all = "ABCXYZabcxyz0189._+/=,:@%^-a~~b!#c";
    assert_eq!(by_sh(folder.path(), all).as_deref(), Some(all));
}
