//! The daemon's parts with a state and files in a folder of the test's own, and where a part is handed times, with those.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::Message;
use super::files::{Files, Write};
use super::keeping::{BatchReport, newest_of_each, successors};
use super::requests::response;
use super::runner::{Reply, Round, Runner};
use super::saving::Saving;
use super::start::start;
use super::vault::Vault;
use crate::core::credential::RefreshToken;
use crate::core::engine::{Answer, Doubt, Event, LineAt, Persist, Rotated, RunMode, TokenId, Want, Wiring};
use crate::core::environment::Environment;
use crate::core::schedule::Life;
use crate::core::secret::Secret;
use crate::core::settings::{FileSpec, Fingerprint, Format, LinePlan, Plan, TargetPath, TokenName};
use crate::core::time::{Boot, Now, Wall};
use crate::core::token::Token;
use crate::host::load::load;
use crate::host::store::{KeptLine, KeptRefresh, KeptTarget, Record, Store, Worker};

fn name(text: &str) -> TokenName {
    TokenName::new(text).unwrap()
}

fn token(text: &str, generation: u64, refresh: Option<&str>) -> Arc<Token> {
    let life = Life { issued_at: Wall(0), expires_at: None, obtained_at: Wall(0) };
    let refresh_token = refresh.map(|refresh| {
        let (token, first) = (Secret::new(refresh.into()), Fingerprint::default());
        Box::new(RefreshToken { token, first, expires_at: None })
    });
    let value = Secret::new(format!("{text}-{generation}"));
    Arc::new(Token { generation, refresh_token, ..Token::new(name(text), value, life) })
}

/// The plan of a config with the token `a`, which has one file and one variable.
fn plan(folder: &TempDir) -> Plan {
    let config = folder.path().join("config.toml");
    let text = r#"
        [daemon]
        state_dir = "state"
        [token.a]
        source = "jwt"
        algorithm = "HS256"
        secret.value = "07c6e2t1rb92987fnrd705jkk8582p9e"
        [[token.a.output]]
        format = "env"
        variable = "A"
        path = "a.env"
    "#;
    fs::write(&config, text).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let env = Environment::new([], folder.path().to_path_buf(), None);
    let loaded = load(&config, &env);
    loaded.plan.unwrap_or_else(|| panic!("{:?}", loaded.report))
}

/// A runner that has not seen its plan yet.
struct Begun {
    runner: Runner,
    inbox: UnboundedReceiver<Message>,
    file: PathBuf,
    _folder: TempDir,
}

impl Begun {
    fn new(mode: RunMode, worker: Worker) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (messages, inbox) = unbounded_channel();
        let plan = plan(&folder);
        let wiring = Arc::new(Wiring::of(&plan));
        let mut runner = start(plan, mode, worker, &messages).unwrap();
        runner.push(Event::Plan(wiring));
        Self { runner, inbox, file: folder.path().join("a.env"), _folder: folder }
    }

    /// Works, and takes in what threads tell, until all rounds together are so.
    async fn until(&mut self, is_so: impl Fn(&Round) -> bool) -> Round {
        let mut rounds = self.runner.work();
        while !is_so(&rounds) {
            let message = tokio::time::timeout(Duration::from_secs(60), self.inbox.recv()).await;
            self.runner.take(message.expect("a message in time").expect("a message"));
            rounds = rounds.and(self.runner.work());
        }
        rounds
    }
}

#[tokio::test]
async fn a_round_tells_of_readiness_and_of_the_end() {
    let mut daemon = Begun::new(RunMode::Daemon, Worker::Daemon);
    let round = daemon.until(|round| round.ready.is_some()).await;
    assert_eq!(round.ready, Some(Vec::new()));
    assert!(round.status_changed && !round.reread && !round.is_over && round.wake.is_some());
    assert!(fs::read_to_string(&daemon.file).unwrap().starts_with("A=eyJ"));
    daemon.runner.push(Event::Shutdown);
    let round = daemon.until(|round| round.is_over).await;
    assert_eq!(round.ready, None, "it is told once");
}

#[tokio::test]
async fn a_run_of_once_is_over_when_its_file_is_written() {
    let mode = RunMode::Once { only: None, ahead: Duration::ZERO, removes: true };
    let mut once = Begun::new(mode, Worker::Once);
    let round = once.until(|round| round.is_over).await;
    assert_eq!(round.ready, None, "nobody waits for a run that ends");
    assert!(fs::read_to_string(&once.file).unwrap().starts_with("A=eyJ"));
    assert!(!once.runner.state.has_failed());
}

#[tokio::test]
async fn who_asks_for_a_token_is_given_the_very_one() {
    let mut daemon = Begun::new(RunMode::Daemon, Worker::Daemon);
    let want = |text| Want::Token { name: name(text), min_valid: Duration::ZERO, is_patient: false };
    daemon.until(|round| round.ready.is_some()).await;
    let mut known = daemon.runner.ask(want("a"), Duration::from_secs(9));
    let mut unknown = daemon.runner.ask(want("b"), Duration::from_secs(9));
    daemon.runner.work();
    let Reply { answer, token } = known.try_recv().unwrap();
    let token = token.unwrap();
    assert_eq!(answer, Answer::Token { name: name("a"), generation: token.generation });
    assert_eq!(fs::read_to_string(&daemon.file).unwrap(), format!("A={}\n", token.value.expose()));
    let reply = unknown.try_recv().unwrap();
    assert_eq!((reply.answer, reply.token), (Answer::Unknown(name("b")), None));
    daemon.runner.push(Event::Shutdown);
    let mut late = daemon.runner.ask(want("a"), Duration::from_secs(9));
    assert!(daemon.runner.work().is_over, "nobody is waited for who was answered");
    assert_eq!(late.try_recv().unwrap().answer, Answer::NotNow(Vec::new()));
}

#[test]
fn two_rounds_in_one_lose_nothing() {
    let one =
        Round { ready: Some(vec![name("a")]), reread: true, is_over: true, wake: Some(Boot(1)), ..Round::default() };
    let both = one.and(Round { status_changed: true, wake: Some(Boot(2)), ..Round::default() });
    assert_eq!(both.ready, Some(vec![name("a")]));
    assert!(both.reread && both.status_changed);
    assert_eq!((both.is_over, both.wake), (false, Some(Boot(2))), "the later one knows better");
}

#[test]
fn an_answer_has_an_exit_code_and_words() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(&folder);
    let of = |answer, token| response(Some(Reply { answer, token }), &plan);
    let lines = || vec![(name("a"), "no".into())];
    for (answer, exit, error) in [
        (Answer::Failed(lines()), 1, "token a: no"),
        (Answer::NotNow(lines()), 75, "token a: no"),
        (Answer::NotNow(Vec::new()), 75, "renewd is stopping"),
        (Answer::Unknown(name("a")), 64, "token a is not in the config"),
    ] {
        let response = of(answer.clone(), None);
        assert_eq!((response.exit, response.errors), (exit, vec![error.to_owned()]), "{answer:?}");
    }
    assert_eq!(response(None, &plan).exit, 75);
    let held = of(Answer::Token { name: name("a"), generation: 7 }, Some(token("a", 7, None)));
    let told = held.token.expect("a token");
    assert_eq!((told.token.as_str(), told.variable.as_deref(), held.exit), ("a-7", Some("A"), 0));
    let one = |text: &str, is_same| Rotated { name: name(text), expires_at: None, is_same };
    let rotated = of(Answer::Rotated(vec![one("a", false), one("b", true)]), None);
    assert_eq!(rotated.notes, ["a: renewed, it never expires"]);
    assert_eq!(rotated.remarks, ["b: the issuer gave the same one again, it never expires"]);
}

#[test]
fn what_need_not_be_kept_first_goes_on_where_the_state_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&folder.path().join("state"), &folder.path().join("c"), 1, Worker::Daemon).unwrap();
    let (messages, _inbox) = unbounded_channel();
    let mut saving = Saving::new(store, &messages).unwrap();
    let mut vault = Vault::default();
    for (text, refresh) in [("free", None), ("spent", Some("r"))] {
        vault.put(token(text, 1, refresh));
        let sync = refresh.is_some();
        saving.push_token(Persist { name: name(text), generation: 1, is_same: false, sync }, &vault);
    }
    // The batch's end is told when the test says so: until then the state hangs.
    let at = |millis: u64| Now { wall: Wall(millis as i64), boot: Boot(millis) };
    let persisted = |text| Event::Persisted { name: name(text), generation: 1 };
    assert!(saving.start(at(0)).events.is_empty());
    assert_eq!((saving.wakes_at(), saving.number()), (Some(Boot(50)), Some(2)));
    let late = saving.start(at(50));
    assert!(late.releases && late.refused.is_none());
    assert_eq!(late.events, [persisted("free")]);
    assert_eq!((saving.wakes_at(), saving.number()), (Some(Boot(5000)), None));
    let late = saving.start(at(5000));
    assert!(late.refused.is_some(), "no refresh token is sent meanwhile");
    assert!(matches!(&late.events[..], [Event::PersistFailed { name: failed, .. }] if *failed == name("spent")));
    assert!(saving.trouble().is_some_and(|trouble| trouble.contains("has not answered since")));
    let kept = BTreeSet::from([name("free"), name("spent")]);
    let report = BatchReport { kept, failed: None, may_send: Ok(()), owes: false, unkept: Vec::new() };
    let outcome = saving.done(report, at(7000));
    assert_eq!((outcome.events, saving.trouble()), (vec![persisted("spent")], None));
}

/// The state tells of a file of one token whose it is, and not in which format: a start that finds such a file as it was
/// has nothing to tell.
#[test]
fn a_file_that_stands_as_an_earlier_run_left_it_is_not_told_anew() {
    let env = |variable: &str| Format::Env { variable: variable.into(), expires_variable: None };
    let mut vault = Vault::default();
    vault.put(token("a", 1, None));
    for (format, kept, is_same) in [
        (Format::Json, None, true),
        (Format::Header, None, true),
        (env("A"), Some(("A".to_owned(), None)), true),
        (env("A"), Some(("B".to_owned(), None)), false),
    ] {
        let (messages, _inbox) = unbounded_channel();
        let path = TargetPath::from(PathBuf::from("/nowhere/a"));
        let line = Arc::new(LinePlan { token: name("a"), format: format.clone() });
        let lines = [LineAt { token: TokenId::NONE, line, generation: 1, expires_at: None }];
        let write = |files: &mut Files| {
            let how = Write { verify: true, waits_for: None };
            files.write(&vault, &path, 1, FileSpec::default(), &lines, how).unwrap()
        };
        let Some(Record::Target(told)) = write(&mut Files::new(&messages)) else { panic!("a new file is told") };
        let mut files = Files::new(&messages);
        let lines = vec![KeptLine { token: name("a"), env: kept }];
        files.restore([(path.clone(), KeptTarget { lines, ..told })].into());
        assert_eq!(write(&mut files).is_none(), is_same, "{format:?}");
    }
}

#[test]
fn the_newest_record_of_each_subject_is_kept_in_order() {
    let gone = |text: &str| Record::TokenGone(name(text));
    let records =
        vec![Record::Token(token("a", 1, None)), gone("b"), Record::Seed(1), Record::Token(token("a", 2, Some("r")))];
    let newest = newest_of_each(records.clone());
    assert_eq!(newest, [gone("b"), Record::Seed(1), records[3].clone()]);
    assert_eq!(successors(&newest), [name("a")]);
}

#[test]
fn a_token_that_is_forgotten_leaves_what_it_is_obtained_with() {
    let mut vault = Vault::default();
    vault.put(token("a", 1, Some("first")));
    vault.put(token("a", 2, None));
    assert_eq!(vault.newest(&name("a")).map(|token| token.generation), Some(2));
    let left = vault.forget(&name("a")).expect("a refresh token");
    assert_eq!(left.next.map(|next| next.token), Some(Secret::new("first".into())));
    assert!(vault.newest(&name("a")).is_none() && vault.get(&name("a"), 1).is_none());
    assert!(vault.refresh_token(&name("a")).is_some(), "should its entry come back");
    vault.put(token("b", 1, None));
    assert_eq!(vault.forget(&name("b")), None);
}

#[test]
fn a_refresh_token_counts_from_when_it_was_sent_first_until_an_answer_comes() {
    let (a, sent) = (name("a"), Fingerprint::of(b"r"));
    let mut vault = Vault::default();
    vault.put(token("a", 1, Some("r")));
    let begun = vault.to_begin(&a, sent, Wall(5)).expect("it is to be told");
    vault.restore_refresh(begun);
    assert_eq!(vault.to_begin(&a, sent, Wall(9)), None, "it is told already");
    assert_eq!((vault.first_sent(&a, sent), vault.is_unsettled(&a)), (Some(Wall(5)), true));
    assert_eq!(vault.first_sent(&a, Fingerprint::of(b"other")), None);
    let kept = vault.settle(&a, Some(Doubt::Lost));
    assert!(matches!(kept, Some(Record::Refresh(KeptRefresh { doubt: Some(Doubt::Lost), begun: true, .. }))));
    assert_eq!(vault.settle(&a, None), Some(Record::RefreshGone(a.clone())), "it was not carried out after all");
    assert_eq!((vault.first_sent(&a, sent), vault.doubt(&a)), (None, None));
}
