//! Owns: `renewd completions`: a shell's completion script on stdout; and `renewd __complete`, which those of bash, zsh and
//! fish ask at each Tab.
//! Does not: install a script, or decide what fits a line (`line.rs`).

mod line;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;

use super::{Ended, Exit, Surroundings, man};
use crate::host::load;
use line::{Candidate, Suggestions, TokenNames};

/// Print the completion script of a shell
///
/// Those of bash, zsh and fish complete the names of tokens too, from the config of -c or the usual one. For one session:
/// `source <(renewd completions bash)`. For good: bash and fish look in ~/.local/share/bash-completion/completions/renewd and
/// ~/.config/fish/completions/renewd.fish, zsh for a file _renewd in a folder of $fpath. The packages install all three.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// bash, elvish, fish, powershell or zsh
    shell: Shell,
}

pub(crate) fn run(args: &Args, mut command: Command) -> Ended {
    let mut script = Vec::new();
    match args.shell {
        Shell::Bash => script.extend(include_bytes!("completions/renewd.bash")),
        Shell::Zsh => script.extend(include_bytes!("completions/renewd.zsh")),
        Shell::Fish => script.extend(include_bytes!("completions/renewd.fish")),
        other => clap_complete::generate(other, &mut command, "renewd", &mut script),
    }
    print(&script)
}

/// What fits at the end of a command line: for the scripts.
#[derive(clap::Args)]
pub(crate) struct Words {
    /// The shell that asks
    shell: Shell,

    /// The words of the line, the last one as far as it is written
    #[arg(last = true)]
    words: Vec<OsString>,
}

/// What is to be completed on the first line: `words`, `files`, `folders` or `commands`. Then words, each with a tab and a
/// description where it has one. Nothing is said of a config that is missing or wrong: somebody is typing.
pub(crate) fn complete(args: &Words, around: &Surroundings, command: Command) -> Ended {
    let words: Vec<String> = args.words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let names = TokenNames { tokens: &|config| names(config, around), pages: &|| man::names(command.clone()) };
    let Suggestions { kind, prefix, candidates } = line::complete(command.clone(), &words, &names);
    let mut text = format!("{}\n", kind.word());
    for Candidate { word, about } in candidates {
        // A fish token is completed whole, `--option=value`; the others take the value alone.
        let prefix = if args.shell == Shell::Fish { prefix.as_str() } else { "" };
        let tab = if about.is_empty() { "" } else { "\t" };
        text.push_str(&format!("{prefix}{word}{tab}{about}\n"));
    }
    print(text.as_bytes())
}

/// The names of the config's tokens, as far as they can be made out.
fn names(config: Option<&str>, around: &Surroundings) -> Vec<String> {
    let written = config.map(|text| match (text.strip_prefix("~/"), around.env.home()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    });
    let named = written.as_deref().or(around.config.as_deref());
    let outline = load::find_config(named, &around.env).ok().and_then(|path| load::outline(&path, &around.env).ok());
    outline.into_iter().flat_map(|outline| outline.tokens).map(|token| token.name.to_string()).collect()
}

fn print(text: &[u8]) -> Ended {
    std::io::stdout().write_all(text).map_err(|_| Exit::Failed)?;
    Ok(ExitCode::SUCCESS)
}
