//! A reading that leaves out what is known comes to what a whole one does: the same plan, the same words at the same places.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// More than stay whole, and several pieces.
const TOKENS: usize = 120;

struct World {
    folder: TempDir,
    defaults: String,
    daemon: String,
    /// The text of each token, with the file that includes it.
    tokens: Vec<(bool, String)>,
    former: Option<Arc<FormerPlan>>,
    /// Further ones that were made.
    made: usize,
}

#[derive(Clone, Copy, Debug)]
enum Edit {
    Lifetime,
    Comment,
    Remove,
    Swap,
    Copy,
    Double,
    New,
    Path,
    SharedFile,
    Parent,
    Refresh,
    Mistake,
    Syntax,
    Warning,
    Text,
    Defaults,
    Secret,
    SecretMode,
    ConfigMode,
    Inline,
    Template,
    Link,
    InputAsOutput,
    NoFolder,
    Include,
    Hook,
    HookMode,
    Owner,
    Daemon,
    Command,
    Pointer,
}

const EDITS: [Edit; 31] = [
    Edit::Lifetime,
    Edit::Comment,
    Edit::Remove,
    Edit::Swap,
    Edit::Copy,
    Edit::Double,
    Edit::New,
    Edit::Path,
    Edit::SharedFile,
    Edit::Parent,
    Edit::Refresh,
    Edit::Mistake,
    Edit::Syntax,
    Edit::Warning,
    Edit::Text,
    Edit::Defaults,
    Edit::Secret,
    Edit::SecretMode,
    Edit::ConfigMode,
    Edit::Inline,
    Edit::Template,
    Edit::Link,
    Edit::InputAsOutput,
    Edit::NoFolder,
    Edit::Include,
    Edit::Hook,
    Edit::HookMode,
    Edit::Owner,
    Edit::Daemon,
    Edit::Command,
    Edit::Pointer,
];

fn token(name: &str) -> String {
    format!(
        "[token.{name}] # {}\nsource = \"jwt\"\nalgorithm = \"HS256\"\nkey = \"{name}\"\nsecret.file = \"secret\"\n\
         lifetime = \"1h\"\n[[token.{name}.output]]\nformat = \"token\"\npath = \"out/{name}\"\n",
        "x".repeat(40)
    )
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for inner in ["out", "config.d"] {
            fs::create_dir(folder.path().join(inner)).unwrap();
        }
        for linked in ["out", "secret", "other", "template"] {
            symlink(format!("../{linked}"), folder.path().join("config.d").join(linked)).unwrap();
        }
        let tokens = (0..TOKENS).map(|i| (i % 10 == 9, token(&format!("t{i}")))).collect();
        let world =
            Self { folder, defaults: "jitter = 0.1".into(), daemon: String::new(), tokens, former: None, made: 0 };
        for secret in ["secret", "other"] {
            world.write(secret, &"0123456789abcdef".repeat(3), 0o600);
        }
        world.write("hook", "#!/bin/sh\n", 0o700);
        world
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn write_config(&self) {
        let (mut main, mut included) = (String::from("include = [\"config.d/*.toml\"]\n[daemon]\n"), String::new());
        let at = self.folder.path();
        let _ = writeln!(main, "state_dir = {:?}\ncontrol_socket = {:?}", at.join("state"), at.join("socket"));
        let _ = writeln!(main, "{}\n[defaults]\n{}", self.daemon, self.defaults);
        for (is_included, token) in &self.tokens {
            if *is_included { &mut included } else { &mut main }.push_str(token);
        }
        self.write("config.toml", &main, 0o600);
        self.write("config.d/more.toml", &included, 0o600);
    }

    fn edit(&mut self, edit: Edit, at: usize, other: usize) {
        let (at, other) = (at % self.tokens.len(), other % self.tokens.len());
        let name = |text: &str| text.split(['.', ']']).nth(1).unwrap_or("").to_owned();
        let (own, theirs) = (name(&self.tokens[at].1), name(&self.tokens[other].1));
        let replace = |text: &mut String, from: &str, to: &str| *text = text.replace(from, to);
        let text = &mut self.tokens[at].1;
        match edit {
            Edit::Lifetime => replace(text, "\"1h\"", "\"2h\""),
            Edit::Comment => replace(text, "xx\n", "yyy\n"),
            Edit::Remove => drop(self.tokens.remove(at)),
            Edit::Swap => self.tokens.swap(at, other),
            Edit::Copy => self.tokens.insert(at, self.tokens[other].clone()),
            Edit::Double => text.push_str(&format!("[token.{theirs}.header]\ntyp = \"x\"\n")),
            Edit::New => {
                self.made += 1;
                self.tokens.insert(at, (other % 2 == 0, token(&format!("n{}", self.made))));
            }
            Edit::Path => replace(text, &format!("path = \"out/{own}\""), &format!("path = \"out/{theirs}\"")),
            Edit::SharedFile => text.push_str(&format!(
                "[[token.{own}.output]]\nformat = \"env\"\npath = \"out/env{}\"\nvariable = \"V_{own}\"\n",
                other % 3
            )),
            Edit::Parent => {
                *text = format!(
                    "[token.{own}]\nsource = \"http\"\nurl = \"https://a.example/t\"\nbearer.token = \"{theirs}\"\n\
                     response.token = \"/t\"\nttl = \"1h\"\n"
                );
            }
            Edit::Refresh => {
                *text = format!(
                    "[token.{own}]\nsource = \"oauth2\"\ntoken_url = \"https://idp.example/t\"\ngrant = \"refresh_token\"\n\
                     client_id = \"c\"\nclient_auth = \"none\"\nrefresh_token.file = \"other\"\n"
                );
            }
            Edit::Mistake => replace(text, "lifetime", "lifetimes"),
            Edit::Syntax => replace(text, "key = \"", "key = "),
            Edit::Warning => replace(text, "lifetime = \"1h\"", "lifetime = \"30s\""),
            Edit::Text => replace(text, "\nkey = \"", "\nclaims.text = \"\"\"\n[token.in_text]\n\"\"\"\nkey = \""),
            Edit::Defaults => self.defaults = format!("jitter = 0.{}", 1 + at % 8),
            Edit::Secret => self.write("secret", &format!("{at:048}"), 0o600),
            Edit::SecretMode => self.write("secret", &format!("{at:048}"), if other % 2 == 0 { 0o644 } else { 0o600 }),
            Edit::ConfigMode => {}
            Edit::Inline => replace(text, "secret.file = \"secret\"", &format!("secret.value = \"{at:048}\"")),
            Edit::Template => {
                replace(text, "format = \"token\"", "format = \"template\"\ntemplate = \"template\"");
                self.write("template", if other % 3 == 0 { "{{" } else { "{{ token }}" }, 0o600);
            }
            Edit::Link => {
                let path = self.folder.path().join("out").join(&own);
                if fs::remove_file(&path).is_err() {
                    symlink("elsewhere", &path).unwrap();
                }
            }
            Edit::InputAsOutput => {
                let path = self.folder.path().join("out").join(&own);
                let _ = fs::remove_file(&path);
                fs::hard_link(self.folder.path().join("secret"), &path).unwrap();
            }
            Edit::NoFolder => replace(text, "path = \"out/", "path = \"out/none/"),
            Edit::Include => self.tokens[at].0 ^= true,
            Edit::Hook => {
                let hook = self.folder.path().join("hook");
                text.push_str(&format!("[token.{own}.after_rotate]\ncommand = [{hook:?}]\n"));
            }
            Edit::HookMode => self.write("hook", "#!/bin/sh\n", if other % 4 == 0 { 0o600 } else { 0o700 }),
            Edit::Owner => text.push_str(if other % 4 == 0 { "owner = \"nobody-has-this\"\n" } else { "group = 0\n" }),
            Edit::Command => {
                let stored = self.folder.path().join("stored");
                replace(text, "secret.file = \"secret\"", &format!("secret.command = [\"cat\", {stored:?}]"));
                self.write("stored", &format!("{at:048}"), 0o600);
            }
            Edit::Pointer => {
                replace(text, "secret.file = \"secret\"", "secret.file = \"vault\"\nsecret.pointer = \"/a\"");
                self.write("vault", &format!("{{\"a\":\"{at:048}\"}}"), 0o600);
            }
            Edit::Daemon => self.daemon = format!("ready_timeout = \"{}s\"", 1 + at % 50),
        }
        self.write_config();
        if let Edit::ConfigMode = edit {
            let name = if other % 2 == 0 { "config.toml" } else { "config.d/more.toml" };
            let mode = if at % 2 == 0 { 0o644 } else { 0o664 };
            fs::set_permissions(self.folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    fn read(&mut self) -> Loaded {
        load_again(&self.config(), &env(), &mut self.former)
    }
}

fn env() -> Environment {
    Environment::new([], "/".into(), None)
}

/// All that can be told of what was read.
fn told(loaded: &Loaded) -> String {
    let lines: Vec<_> = loaded.report.lines().collect();
    let watched = (loaded.watched_files(), loaded.watched_folders());
    format!(
        "{:#?}\n{lines:#?}\n{}\n{watched:?}\n{:?} {}",
        loaded.plan,
        loaded.report.render(false),
        loaded.content.0,
        loaded.is_passing
    )
}

#[test]
fn what_stayed_the_same_is_taken_over() {
    let mut world = World::new();
    world.write_config();
    let mut before = world.read().plan.unwrap();
    let edits = [Edit::Lifetime, Edit::New, Edit::Remove, Edit::Inline, Edit::Comment, Edit::Template, Edit::Refresh];
    for (at, edit) in (47..).zip(edits) {
        world.edit(edit, at, 10);
        let loaded = world.read();
        let plan = loaded.plan.unwrap();
        let known: HashSet<_> = before.tokens.iter().map(Arc::as_ptr).collect();
        let shared = plan.tokens.iter().filter(|token| known.contains(&Arc::as_ptr(token))).count();
        assert!((TOKENS / 3..TOKENS).contains(&shared), "{shared} of {TOKENS} tokens after {edit:?}");
        let known: HashSet<_> = before.targets.iter().map(Arc::as_ptr).collect();
        let shared = plan.targets.iter().filter(|target| known.contains(&Arc::as_ptr(target))).count();
        assert!((TOKENS / 3..TOKENS).contains(&shared), "{shared} of {TOKENS} files after {edit:?}");
        before = plan;
    }
}

#[test]
fn files_that_begin_alike_are_known_again_all_the_same() {
    let mut world = World::new();
    world.write_config();
    let several = |team: &str| (0..TOKENS).map(|i| token(&format!("{team}{i}"))).collect::<String>();
    for team in ["red", "blue"] {
        world.write(&format!("config.d/{team}.toml"), &format!("# One team's\n{}", several(team)), 0o600);
    }
    let before = world.read().plan.unwrap();
    world.edit(Edit::Lifetime, 47, 0);
    let plan = world.read().plan.unwrap();
    let known: HashSet<_> = before.tokens.iter().map(Arc::as_ptr).collect();
    let shared = plan.tokens.iter().filter(|token| known.contains(&Arc::as_ptr(token))).count();
    assert!(shared > 2 * TOKENS, "{shared} of {} tokens", 3 * TOKENS);
}

#[test]
fn a_file_that_nothing_needs_any_more_is_no_part_of_the_config() {
    let mut world = World::new();
    world.write_config();
    world.edit(Edit::Refresh, 47, 0);
    world.read();
    world.edit(Edit::Remove, 47, 0);
    let again = world.read();
    assert!(world.former.is_some());
    assert_eq!(told(&again), told(&load(&world.config(), &env())));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_reading_of_what_changed_is_a_whole_one(edits in vec((0..EDITS.len(), 0..500_usize, 0..500_usize), 1..8)) {
        let mut world = World::new();
        world.write_config();
        world.read();
        for (edit, at, other) in edits {
            world.edit(EDITS[edit], at, other);
            let again = world.read();
            let whole = load(&world.config(), &env());
            prop_assert_eq!(told(&again), told(&whole), "after {:?} of {} and {}", EDITS[edit], at, other);
        }
    }
}
