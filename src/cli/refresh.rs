//! Owns: `renewd refresh`: an old token, its signature verified, printed again with fresh times.
//! Does not: take anything on trust that stands in the old token.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use crate::core::claims::RefreshClaims;
use crate::core::jose::{Jws, seal};
use crate::core::settings::{KeyClaim, Lifetime};
use crate::host::clock;

use super::generate::key_claim;
use super::input::{self, KeyArgs};
use super::{Ended, Failure};

/// Verify an old token, expired or not, and print it again with fresh times
///
/// Its signature has to hold, by --alg alone, and its iss (or kid) has to be --key. iat, exp and jti are renewed or
/// added, nbf is renewed where it was there, claims that are null are dropped, and all else stays as it is.
/// Exit codes: 0 done; 1 the old token is not one, or not ours, or the secret is missing or weak; 64 usage.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The old token; `-` or nothing: stdin
    #[arg(value_name = "OLD_TOKEN")]
    token: Option<String>,

    /// The public name of the credential that the old token has to carry
    #[arg(long, value_name = "K")]
    key: String,

    /// Where the token carries --key: iss or kid. By default iss, and kid in a token without iss
    #[arg(long, value_name = "CLAIM", value_parser = key_claim)]
    key_claim: Option<KeyClaim>,

    #[command(flatten)]
    signer: KeyArgs,

    /// How long the new one is good for, or "never"; by default as long as the old one, 1h where that had no end
    #[arg(long, value_name = "TIME", value_parser = input::lifetime)]
    lifetime: Option<Lifetime>,

    /// Backdate iat (and nbf) by so much; exp stays
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = input::duration)]
    skew: Duration,
}

pub(crate) fn run(args: &Args) -> Ended {
    let from_stdin = args.token.as_deref().is_none_or(|t| t == "-");
    if from_stdin && args.signer.uses_stdin() {
        return Err(Failure::usage("the old token and the key cannot both come from stdin"));
    }
    let (key, algorithm) = args.signer.load()?;
    let token = input::read_token(args.token.as_deref())?;
    let refused = |e: &dyn std::fmt::Display| Failure::failed(format!("the old token is refused: {e}"));

    let old = Jws::parse(token.expose()).map_err(|e| refused(&e))?;
    let verifying = key.verifying().map_err(|e| Failure::failed(e.to_string()))?;
    old.verify(&verifying, Some(algorithm)).map_err(|e| refused(&e))?;
    let claims = old.claims().map_err(|e| refused(&e))?;
    is_ours(args, claims.get("iss"), old.header.get("kid")).map_err(|e| refused(&e))?;

    let rule =
        RefreshClaims { now: clock::now().wall, skew: args.skew, lifetime: args.lifetime, jti: input::draw_jti()? };
    let payload = rule.apply(&old).map_err(|e| refused(&e))?;
    let token = seal(&key, algorithm, old.header_text(), &payload.json).map_err(|e| Failure::failed(e.to_string()))?;
    input::print(token.expose(), "\n")?;
    Ok(ExitCode::SUCCESS)
}

/// A token of another credential that happens to share the secret is not renewed by mistake.
fn is_ours(args: &Args, iss: Option<&Value>, kid: Option<&Value>) -> Result<(), &'static str> {
    let iss = iss.filter(|v| !v.is_null());
    let (carried, refusal) = match (args.key_claim, iss) {
        (Some(KeyClaim::Kid), _) | (None, None) => (kid, "its kid is not --key"),
        (Some(KeyClaim::Iss), _) | (None, Some(_)) => (iss, "its iss is not --key"),
    };
    match carried {
        Some(Value::String(carried)) if *carried == args.key => Ok(()),
        Some(_) => Err(refusal),
        None => Err("it has neither iss nor kid to be compared with --key"),
    }
}
