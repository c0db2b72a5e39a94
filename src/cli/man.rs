//! Owns: `renewd man`: the manual's pages, of the commands and of the config, shown, printed or written to a folder.
//! Does not: hold their text; `--help` and the table of keys do.

mod config;
mod page;
mod pages;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode, Stdio};

use clap::Command;

use self::page::ManPage;
use super::{Ended, Failure};

/// Show a page of the manual
///
/// renewd, renewd.toml, or renewd-COMMAND; `renewd man COMMAND` will do. On a terminal it is shown by man(1) where that is
/// installed, else as plain text; into a file or pipe it goes as roff, for man and mandoc.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The page; default: renewd
    #[arg(value_name = "PAGE", conflicts_with = "dir")]
    page: Option<String>,

    /// Write all pages into this folder instead, as renewd.1, renewd.toml.5 and so on
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// The names of all pages; `command` is the program's own, as for the others.
pub(crate) fn names(command: Command) -> Vec<String> {
    pages::all(command).into_iter().map(|page| page.name).collect()
}

pub(crate) fn run(args: &Args, command: Command) -> Ended {
    let pages = pages::all(command);
    match &args.dir {
        Some(folder) => write_all(pages, folder)?,
        None => show(&find(pages, args.page.as_deref().unwrap_or("renewd"))?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// By its name, with or without its section; of a command, without the program's name too.
fn find(mut pages: Vec<ManPage>, asked: &str) -> Result<ManPage, Failure> {
    let fits = |page: &ManPage| {
        let whole = format!("{}.{}", page.name, page.section);
        page.name == asked || whole == asked || page.name.strip_prefix("renewd-") == Some(asked)
    };
    match pages.iter().position(fits) {
        Some(at) => Ok(pages.swap_remove(at)),
        None => {
            let all: Vec<_> = pages.into_iter().map(|page| page.name).collect();
            Err(Failure::usage(format!("there is no such page; there are {}", all.join(", "))))
        }
    }
}

fn write_all(pages: Vec<ManPage>, folder: &Path) -> Result<(), Failure> {
    for page in pages {
        let path = folder.join(format!("{}.{}", page.name, page.section));
        std::fs::write(&path, &page.roff).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
    }
    Ok(())
}

fn show(page: &ManPage) -> Result<(), Failure> {
    let mut out = io::stdout();
    if out.is_terminal() && shown_by_man(&page.roff) {
        return Ok(());
    }
    let text = if out.is_terminal() { &page.text } else { &page.roff };
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match printed {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| Failure::failed(format!("stdout: {error}"))),
    }
}

/// Hands a page to man(1); false where there is none, or it cannot show it.
fn shown_by_man(roff: &str) -> bool {
    let man = process::Command::new("man").args(["-l", "-"]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn();
    let Ok(mut man) = man else { return false };
    let written = man.stdin.take().is_some_and(|mut stdin| stdin.write_all(roff.as_bytes()).is_ok());
    let ended = man.wait().is_ok_and(|status| status.success());
    written && ended
}
