//! Owns: an address as a QR code on a terminal.
//! Does not: say what it is for.

use std::io::{self, IsTerminal};

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use crate::cli::colour;
use crate::core::environment::Environment;

/// Black on white, whatever the terminal's own colours are: a camera wants it so.
const PAPER: &str = "\x1b[30;107m";
const PLAIN: &str = "\x1b[0m";

/// Lines that end with an empty one; `None` where there is no terminal, or not one that is wide enough.
pub(super) fn of(address: &str, env: &Environment) -> Option<String> {
    let width = rustix::termios::tcgetwinsize(io::stderr()).ok()?.ws_col;
    let is_coloured = colour::wanted(env, io::stderr().is_terminal());
    drawn(address, usize::from(width), is_coloured)
}

fn drawn(address: &str, width: usize, is_coloured: bool) -> Option<String> {
    let code = QrCode::with_error_correction_level(address, qrcode::EcLevel::L).ok()?;
    let mut renderer = code.render::<Dense1x2>();
    if !is_coloured {
        // Most terminals are dark: what they light up is the paper.
        renderer.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark);
    }
    let picture = renderer.quiet_zone(true).build();
    if picture.lines().any(|line| line.chars().count() > width) {
        return None;
    }
    let line = |line: &str| if is_coloured { format!("{PAPER}{line}{PLAIN}\n") } else { format!("{line}\n") };
    Some(picture.lines().map(line).collect::<String>() + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_square_with_a_margin_and_only_where_it_fits() {
        let address = "https://idp.example/device?user_code=ABCD-EFGH";
        let plain = drawn(address, 80, false).unwrap();
        let lines: Vec<&str> = plain.lines().filter(|line| !line.is_empty()).collect();
        let width = lines[0].chars().count();
        assert!(lines.iter().all(|line| line.chars().count() == width));
        assert!(width.abs_diff(2 * lines.len()) <= 1, "{width} by {}", lines.len());
        assert!(lines[0].chars().all(|c| c == '█'), "the margin is paper:\n{plain}");
        assert_eq!(drawn(address, width - 1, false), None);
        let coloured = drawn(address, width, true).unwrap();
        assert!(
            coloured
                .lines()
                .filter(|line| !line.is_empty())
                .all(|line| line.starts_with(PAPER) && line.ends_with(PLAIN))
        );
    }
}
