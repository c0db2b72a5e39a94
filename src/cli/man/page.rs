//! Owns: a page of the manual, and the parts that all of them have.
//! Does not: know what any is about.

use clap_mangen::roff::{Roff, bold, roman};

/// A page: `renewd-run(1)`.
pub(super) struct ManPage {
    pub name: String,
    pub section: &'static str,
    /// As man(1) takes it.
    pub roff: String,
    /// For a terminal without man(1).
    pub text: String,
}

/// The first line of a page. `roff` leaves out the quotes of an empty date, and so the date's place.
pub(super) fn title(name: &str, section: &str) -> String {
    format!(".TH \"{name}\" \"{section}\" \"\" \"renewd {}\" \"renewd\"\n", env!("CARGO_PKG_VERSION"))
}

/// `.TP`: a word in bold, and what is to be said of it.
pub(super) fn item(roff: &mut Roff, word: &str, about: &str) {
    roff.control("TP", []);
    roff.text([bold(word)]);
    roff.text([roman(about)]);
}

pub(super) fn see_also(roff: &mut Roff, pages: &[String]) {
    roff.control("SH", ["SEE ALSO"]);
    let mut line = Vec::new();
    for (at, page) in pages.iter().enumerate() {
        let (name, section) = page.split_once('(').unwrap_or((page, ""));
        line.push(bold(name));
        let comma = if at + 1 < pages.len() { ", " } else { "" };
        line.push(roman(format!("({section}{comma}")));
    }
    roff.text(line);
}
