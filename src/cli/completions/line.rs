//! Owns: what may stand at the end of a command line, from the same description of the commands as --help.
//! Does not: read a config (it is asked for names), quote for a shell, or print.

use clap::{Arg, Command};

use crate::core::crypto::Algorithm;

/// What a shell is to offer.
pub(super) struct Suggestions {
    pub kind: SuggestionKind,
    /// `--option=`, where the value of one is completed in the same word.
    pub prefix: String,
    pub candidates: Vec<Candidate>,
}

/// Words alone, or also what the shell itself knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SuggestionKind {
    Words,
    Files,
    Folders,
    Commands,
}

impl SuggestionKind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Files => "files",
            Self::Folders => "folders",
            Self::Commands => "commands",
        }
    }
}

pub(super) struct Candidate {
    pub word: String,
    /// One line, or nothing.
    pub about: String,
}

/// TokenNames that are looked up only where one may stand.
pub(super) struct TokenNames<'n> {
    /// The tokens of the config that was named on the line, or of the usual one.
    pub tokens: &'n dyn Fn(Option<&str>) -> Vec<String>,
    /// The manual's pages.
    pub pages: &'n dyn Fn() -> Vec<String>,
}

/// What fits in the place of the last of `words`; the first is the program.
pub(super) fn complete(mut root: Command, words: &[String], names: &TokenNames<'_>) -> Suggestions {
    root.build();
    let mut line = CommandLine::new(&root);
    let mut words = joined(words).into_iter().skip(1);
    let last = words.next_back().unwrap_or_default();
    words.for_each(|word| line.take(&word));
    let mut answer = line.complete(&last, names);
    let written = last.strip_prefix(&answer.prefix).unwrap_or(&last).to_owned();
    answer.candidates.retain(|candidate| candidate.word.starts_with(&written));
    answer
}

/// bash takes `--option=value` for three words.
fn joined(words: &[String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::with_capacity(words.len());
    let mut open = false;
    for word in words {
        match all.last_mut() {
            Some(option) if word == "=" && option.starts_with("--") && !option.contains('=') => {
                option.push('=');
                open = true;
            }
            Some(option) if open => {
                option.push_str(word);
                open = false;
            }
            _ => all.push(word.clone()),
        }
    }
    all
}

/// A line as far as it was read.
struct CommandLine<'c> {
    command: &'c Command,
    /// The option whose value comes next.
    open: Option<&'c Arg>,
    /// What stands at the places of arguments that have no option.
    given: Vec<String>,
    /// How many words stand behind `--`, where one is.
    behind: Option<usize>,
    config: Option<String>,
}

impl<'c> CommandLine<'c> {
    fn new(command: &'c Command) -> Self {
        Self { command, open: None, given: Vec::new(), behind: None, config: None }
    }

    fn take(&mut self, word: &str) {
        if let Some(option) = self.open.take() {
            return self.value(option, word);
        }
        if let Some(behind) = &mut self.behind {
            *behind += 1;
        } else if word == "--" {
            self.behind = Some(0);
        } else if let Some(option) = word.strip_prefix("--") {
            let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
            let found = self.command.get_arguments().find(|arg| arg.get_long() == Some(name));
            self.option(found, value);
        } else if word.len() > 1 && word.starts_with('-') {
            self.letters(word);
        } else if let Some(command) = self.command.find_subcommand(word).filter(|_| self.given.is_empty()) {
            self.command = command;
        } else {
            self.given.push(word.to_owned());
        }
    }

    /// `-q`, `-c FILE`, `-cFILE`.
    fn letters(&mut self, word: &str) {
        for (at, letter) in word.char_indices().skip(1) {
            let found = self.command.get_arguments().find(|arg| arg.get_short() == Some(letter));
            if found.is_some_and(takes_value) {
                let rest = word.get(at + letter.len_utf8()..).filter(|rest| !rest.is_empty());
                return self.option(found, rest);
            }
        }
    }

    fn option(&mut self, found: Option<&'c Arg>, value: Option<&str>) {
        match (found.filter(|arg| takes_value(arg)), value) {
            (Some(arg), Some(value)) => self.value(arg, value),
            (Some(arg), None) => self.open = Some(arg),
            (None, _) => {}
        }
    }

    fn value(&mut self, option: &Arg, value: &str) {
        if option.get_id() == "config" {
            self.config = Some(value.to_owned());
        }
    }

    fn complete(&self, last: &str, names: &TokenNames<'_>) -> Suggestions {
        if let Some(option) = self.open {
            return self.values(option, String::new(), names);
        }
        if let Some(behind) = self.behind {
            // The shell knows commands, and what their arguments are likely to be.
            let kind = if behind == 0 { SuggestionKind::Commands } else { SuggestionKind::Files };
            let runs = self.command.get_arguments().any(Arg::is_last_set);
            return Suggestions::new(if runs { kind } else { SuggestionKind::Words }, Vec::new());
        }
        if let Some((name, _)) = last.strip_prefix("--").and_then(|option| option.split_once('=')) {
            let found = self.command.get_arguments().find(|arg| arg.get_long() == Some(name) && takes_value(arg));
            let answer = found.map(|option| self.values(option, format!("--{name}="), names));
            return answer.unwrap_or_else(|| Suggestions::new(SuggestionKind::Words, Vec::new()));
        }
        if last.starts_with('-') {
            return Suggestions::new(SuggestionKind::Words, self.options());
        }
        if self.command.has_subcommands() {
            let commands = self.command.get_subcommands().filter(|command| !command.is_hide_set());
            let about = |command: &Command| command.get_about().map(ToString::to_string).unwrap_or_default();
            return Suggestions::new(
                SuggestionKind::Words,
                commands.map(|c| candidate(c.get_name(), &about(c))).collect(),
            );
        }
        let mut places = self.command.get_positionals().filter(|arg| !arg.is_last_set());
        let many = |arg: &&Arg| arg.get_num_args().is_some_and(|range| range.max_values() > 1);
        match places.nth(self.given.len()).or_else(|| self.command.get_positionals().last().filter(many)) {
            Some(place) => self.values(place, String::new(), names),
            None => Suggestions::new(SuggestionKind::Words, Vec::new()),
        }
    }

    fn options(&self) -> Vec<Candidate> {
        let shown = self.command.get_arguments().filter(|arg| !arg.is_hide_set());
        shown.filter_map(|arg| Some(candidate(&format!("--{}", arg.get_long()?), &help(arg)))).collect()
    }

    /// What may be the value of an option or stand at a place: by the words it takes, else by the name that --help gives it.
    fn values(&self, arg: &Arg, prefix: String, names: &TokenNames<'_>) -> Suggestions {
        let words = |words: &[&str]| words.iter().map(|word| candidate(word, "")).collect::<Vec<_>>();
        let possible = arg.get_possible_values();
        if !possible.is_empty() {
            let about =
                |value: &clap::builder::PossibleValue| value.get_help().map(ToString::to_string).unwrap_or_default();
            let shown = possible.iter().filter(|value| !value.is_hide_set());
            let candidates = shown.map(|value| candidate(value.get_name(), &about(value))).collect();
            return Suggestions { prefix, ..Suggestions::new(SuggestionKind::Words, candidates) };
        }
        let tokens = || {
            let names = (names.tokens)(self.config.as_deref()).into_iter().filter(|name| !self.given.contains(name));
            names.map(|name| candidate(&name, "")).collect()
        };
        let shown = arg.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
        let (kind, candidates) = match shown {
            "NAME" => (SuggestionKind::Words, tokens()),
            // A token, a file, or a NAME.
            "TOKEN" => (SuggestionKind::Files, tokens()),
            "ALG" => (SuggestionKind::Words, words(Algorithm::WORDS)),
            "ENCODING" => (SuggestionKind::Words, words(&["utf8", "base64", "base64url", "hex"])),
            "CLAIM" => (SuggestionKind::Words, words(&["iss", "kid"])),
            "PAGE" => (SuggestionKind::Words, (names.pages)().iter().map(|page| candidate(page, "")).collect()),
            "FILE" | "PATH" | "SOCKET" => (SuggestionKind::Files, Vec::new()),
            "DIR" => (SuggestionKind::Folders, Vec::new()),
            _ => (SuggestionKind::Words, Vec::new()),
        };
        Suggestions { prefix, ..Suggestions::new(kind, candidates) }
    }
}

impl Suggestions {
    fn new(kind: SuggestionKind, candidates: Vec<Candidate>) -> Self {
        Self { kind, prefix: String::new(), candidates }
    }
}

fn candidate(word: &str, about: &str) -> Candidate {
    let about = about.lines().next().unwrap_or_default().replace('\t', " ");
    Candidate { word: word.to_owned(), about }
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

fn help(arg: &Arg) -> String {
    arg.get_help().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::{Cli, man};

    fn asked(line: &str) -> (SuggestionKind, Vec<String>) {
        let words: Vec<String> = line.split(' ').map(String::from).collect();
        let tokens = |config: Option<&str>| match config {
            None => vec!["sunbird".into(), "kong".into()],
            Some("other.toml") => vec!["other".into()],
            Some(_) => Vec::new(),
        };
        let names = TokenNames { tokens: &tokens, pages: &|| man::names(Cli::command()) };
        let answer = complete(Cli::command(), &words, &names);
        (answer.kind, answer.candidates.into_iter().map(|candidate| candidate.word).collect())
    }

    fn words(line: &str) -> Vec<String> {
        let (kind, words) = asked(line);
        assert_eq!(kind, SuggestionKind::Words, "{line}");
        words
    }

    #[test]
    fn names_stand_wherever_one_is_taken() {
        for command in ["once", "status", "rotate", "wait", "token", "exec", "login"] {
            assert_eq!(words(&format!("renewd {command} ")), ["sunbird", "kong"], "{command}");
            assert_eq!(words(&format!("renewd {command} -c other.toml ")), ["other"], "{command}");
            assert_eq!(words(&format!("renewd --config=other.toml {command} o")), ["other"], "{command}");
            assert_eq!(words(&format!("renewd --config = other.toml {command} o")), ["other"], "{command}");
            assert_eq!(words(&format!("renewd {command} -cother.toml ")), ["other"], "{command}");
            assert_eq!(words(&format!("renewd {command} -c gone.toml ")), Vec::<String>::new(), "{command}");
        }
        assert_eq!(words("renewd status sunbird "), ["kong"], "each once");
        assert_eq!(words("renewd token sunbird "), Vec::<String>::new(), "there is but one");
        assert_eq!(asked("renewd inspect s"), (SuggestionKind::Files, vec!["sunbird".into()]));
    }

    #[test]
    fn words_of_options_are_offered() {
        assert_eq!(words("renewd generate --alg HS"), ["HS256", "HS384", "HS512"]);
        assert_eq!(words("renewd generate --alg=Ed"), ["EdDSA"]);
        assert_eq!(words("renewd generate --alg = Ed"), ["EdDSA"]);
        assert_eq!(words("renewd generate --secret-encoding base64"), ["base64", "base64url"]);
        assert!(words("renewd token x --format ").contains(&"header".into()));
        assert!(words("renewd init --for ").contains(&"github-app".into()));
        assert!(words("renewd completions ").contains(&"zsh".into()));
        assert!(words("renewd man renewd-st").contains(&"renewd-status".into()));
        assert!(words("renewd st").contains(&"status".into()));
        assert!(words("renewd token --min").contains(&"--min-valid".into()));
        assert!(!words("renewd ").iter().any(|word| word.starts_with('_')), "what is hidden stays so");
    }

    #[test]
    fn files_and_commands_are_left_to_the_shell() {
        assert_eq!(asked("renewd -c ").0, SuggestionKind::Files);
        assert_eq!(asked("renewd generate --secret-file ").0, SuggestionKind::Files);
        assert_eq!(asked("renewd man --dir ").0, SuggestionKind::Folders);
        assert_eq!(asked("renewd exec sunbird -- cu").0, SuggestionKind::Commands);
        assert_eq!(asked("renewd exec sunbird -- curl ").0, SuggestionKind::Files);
        for odd in ["", "renewd", "renewd --", "renewd nonsense x ", "renewd token --x=", "renewd -", "renewd = ="] {
            asked(odd);
        }
    }
}
