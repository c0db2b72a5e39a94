//! Owns: where a large file is cut into pieces that are parsed one at a time: the tree of a whole file takes fifty times its
//! size. A cut changes nothing: it stands before a `[token.NAME` that begins another token, and what is not plain is not cut.
//! The names decide where: an edit moves no cut elsewhere, so that the next reading knows most pieces again.
//! Does not: parse.

use std::ops::Range;
use std::path::Path;

use crate::core::settings::Fingerprint;

/// A shorter text stays whole.
const SHORT: usize = 8 * 1024;
/// A piece is not much longer, whatever its tokens are called. What a piece's tree takes stays with the allocator, which gives more
/// back to the system each time.
const LONGEST: usize = 32 * 1024;

/// A piece of a file, and what it is known by.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub range: Range<usize>,
    /// Of its text, and of the folder that its paths start from: equal ones are read alike.
    pub digest: Fingerprint,
}

/// The pieces of a file in `base`: what stands before the first token, then some tokens each; one where it is to be read whole.
pub(crate) fn pieces(text: &str, base: &Path) -> Vec<Piece> {
    let folder = Fingerprint::of(base.as_os_str().as_encoded_bytes()).0;
    let piece = |range: Range<usize>| {
        let text = Fingerprint::of(text.get(range.clone()).unwrap_or("").as_bytes()).0;
        Piece { range, digest: Fingerprint::of([text, folder].as_flattened()) }
    };
    match cut(text) {
        Some(ranges) => ranges.into_iter().map(piece).collect(),
        None => vec![piece(0..text.len())],
    }
}

/// `None`: it is to be read whole.
///
/// A cut inside a string or an array leaves a piece that does not parse, and then the whole is read, too.
pub(super) fn cut(text: &str) -> Option<Vec<Range<usize>>> {
    if text.len() <= SHORT {
        return None;
    }
    let (mut cuts, mut last_name, mut at) = (vec![0], None, 0);
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        if !line.trim_start().starts_with('[') {
            continue;
        }
        let Some(name) = token_of(line) else {
            // Before the first token any table may stand, after it none: two pieces could hold the same one.
            if last_name.is_some() {
                return None;
            }
            continue;
        };
        let is_new = last_name.replace(name) != Some(name);
        let is_cut = || cuts.len() == 1 || begins(name) || cuts.last().is_some_and(|cut| start - cut >= LONGEST);
        if is_new && is_cut() {
            cuts.push(start);
        }
    }
    let ends = cuts.iter().copied().skip(1).chain([text.len()]);
    Some(cuts.iter().copied().zip(ends).map(|(from, to)| from..to).collect())
}

/// Whether a token of this name begins a piece: one in sixteen does (FNV-1a, of which the upper bits are mixed best).
fn begins(name: &str) -> bool {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60 == 0
}

/// The name of the token to which the table of this header belongs, where it is written the plain way.
fn token_of(header: &str) -> Option<&str> {
    let path = header.strip_prefix("[[token.").or_else(|| header.strip_prefix("[token."))?;
    let end = path.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))?;
    let (name, rest) = path.split_at(end);
    (!name.is_empty() && rest.starts_with(['.', ']'])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(number: usize) -> String {
        let one =
            |i| format!("[token.t{i}]\nsource = \"jwt\" # {}\n[[token.t{i}.output]]\npath = \"t\"\n", "x".repeat(50));
        (0..number).map(one).collect()
    }

    #[test]
    fn a_small_text_stays_whole() {
        assert_eq!(cut(&tokens(3)), None);
    }

    #[test]
    fn the_pieces_are_the_text_and_begin_with_another_token() {
        let text = format!("[daemon]\n[defaults]\n{}", tokens(2_000));
        let pieces = cut(&text).unwrap();
        assert!((60..250).contains(&pieces.len()), "{} pieces", pieces.len());
        assert_eq!(&text[pieces[0].clone()], "[daemon]\n[defaults]\n");
        assert_eq!(pieces.iter().map(|piece| &text[piece.clone()]).collect::<String>(), text);
        assert!(pieces.iter().skip(1).all(|piece| text[piece.clone()].starts_with("[token.t")));
    }

    #[test]
    fn an_edit_moves_no_cut_elsewhere() {
        let digests = |text: &str| pieces(text, Path::new("/")).into_iter().map(|piece| piece.digest);
        let text = format!("[daemon]\n{}", tokens(2_000));
        let edited = text.replace("[token.t900]\n", "[token.t900]\nlifetime = \"2h\"\n");
        let before: std::collections::HashSet<_> = digests(&text).collect();
        assert_eq!(digests(&edited).filter(|digest| !before.contains(digest)).count(), 1);
        let elsewhere: Vec<_> = pieces(&text, Path::new("/else")).into_iter().map(|piece| piece.digest).collect();
        assert!(elsewhere.iter().all(|digest| !before.contains(digest)), "paths are relative to another folder");
    }

    #[test]
    fn names_that_are_all_alike_are_cut_all_the_same() {
        let names = || (0..).map(|i| format!("n{i}")).filter(|name| !begins(name)).take(3_000);
        let text: String =
            names().map(|name| format!("[token.{name}]\nsource = \"jwt\" # {}\n", "x".repeat(50))).collect();
        let pieces = cut(&text).unwrap();
        assert!(pieces.iter().all(|piece| piece.len() <= LONGEST + 100) && pieces.len() > 5, "{pieces:?}");
    }

    #[test]
    fn what_is_not_plain_stays_whole() {
        let many = tokens(2_000);
        for odd in ["[daemon]", "[token]", " [ token.x ]", "[token.\"a.b\"]", "[\"token\".x]", "[[other]]", "  [1, 2],"]
        {
            assert_eq!(cut(&format!("{many}{odd}\n")), None, "{odd}");
        }
    }
}
