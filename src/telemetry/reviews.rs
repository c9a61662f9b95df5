//! Who may read the metrics, where they are secured: whoever the API server knows by a bearer token and allows to get the path `/metrics`.
//! The same two questions that kube-rbac-proxy and controller-runtime ask.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::Duration;

use kube::Client;
use kube::api::PostParams;
use kube::core::Request;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, timeout};
use tracing::warn;

/// How long a yes is used. Source: our choice: a scraper comes every 30 s, and a right that was taken away ends soon.
const YES: Duration = Duration::from_mins(1);
/// How long a no is used. Source: our choice: who has just given the right wants to see that it works.
const NO: Duration = Duration::from_secs(10);
/// Answers that are kept; more are forgotten, as nobody but a guesser has so many tokens.
const MOST: usize = 64;
/// Longest wait for both answers. Source: our choice: a scrape gives up after 10 s by default.
const DEADLINE: Duration = Duration::from_secs(5);
/// Longest token, in bytes: a longer one is not asked about. Source: our choice: those of service accounts have about 1 KiB.
const LONGEST_TOKEN: usize = 16 * 1024;

/// What the API server says to somebody who wants to read the metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They may.
    Allowed,
    /// It knows them, and they may not.
    Forbidden {
        /// Who they are.
        user: String,
    },
    /// It does not know the token.
    Unknown,
}

/// The API server gave no answer.
#[derive(Debug, PartialEq, Eq)]
pub struct NoAnswer;

/// How many may wait for an answer; more get none. Source: our choice: as many scrapers as anybody has.
const WAITING: usize = 8;
/// How often it is told that there is no answer.
const TOLD_AGAIN: Duration = Duration::from_mins(1);

/// Asks the API server, one question at a time: a flood of wrong tokens costs it one call after the other.
pub struct Reviews {
    api: Client,
    known: std::sync::Mutex<HashMap<Token, (Instant, Verdict)>>,
    waiting: Semaphore,
    asking: Mutex<()>,
    told: std::sync::Mutex<Option<Instant>>,
}

/// A token, hashed: none is kept.
type Token = [u8; 32];

impl Reviews {
    /// Asks through `api`, which needs the verb create on tokenreviews and subjectaccessreviews.
    pub fn new(api: Client) -> Self {
        Self {
            api,
            known: std::sync::Mutex::default(),
            waiting: Semaphore::new(WAITING),
            asking: Mutex::new(()),
            told: std::sync::Mutex::default(),
        }
    }

    /// Whether the bearer of this token may get `/metrics`.
    pub async fn judge(&self, token: &str) -> Result<Verdict, NoAnswer> {
        if token.is_empty() || token.len() > LONGEST_TOKEN {
            return Ok(Verdict::Unknown);
        }
        let digest: Token = Sha256::digest(token).into();
        if let Some(verdict) = self.kept(&digest) {
            return Ok(verdict);
        }
        let Ok(_place) = self.waiting.try_acquire() else { return Err(NoAnswer) };
        let answer = async {
            let _turn = self.asking.lock().await;
            if let Some(verdict) = self.kept(&digest) {
                return Ok::<_, String>(verdict);
            }
            let verdict = self.ask(token).await?;
            self.keep(digest, verdict.clone());
            Ok(verdict)
        };
        timeout(DEADLINE, answer).await.unwrap_or_else(|_| Err("it did not answer in time".to_owned())).map_err(
            |error| {
                self.tell(&error);
                NoAnswer
            },
        )
    }

    fn kept(&self, digest: &Token) -> Option<Verdict> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (at, verdict)| at.elapsed() < if *verdict == Verdict::Allowed { YES } else { NO });
        known.get(digest).map(|(_, verdict)| verdict.clone())
    }

    /// When there are too many, whoever may read stays known: guessers forget each other.
    fn keep(&self, digest: Token, verdict: Verdict) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, (_, verdict)| *verdict == Verdict::Allowed);
        }
        if known.len() < MOST {
            known.insert(digest, (Instant::now(), verdict));
        }
    }

    /// Warns, once a minute at most: anybody can make us ask.
    fn tell(&self, error: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= TOLD_AGAIN) {
            *told = Some(Instant::now());
            warn!(
                error,
                "the API server does not say who may read the metrics: does the operator have the chart's rights for metrics.secure?"
            );
        }
    }

    async fn ask(&self, token: &str) -> Result<Verdict, String> {
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token},
        });
        let answer: Answer<Authentication> =
            self.create("/apis/authentication.k8s.io/v1/tokenreviews", &review).await?;
        let Some(user) = authenticated(answer.status) else { return Ok(Verdict::Unknown) };
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {
                "user": user.username, "uid": user.uid, "groups": user.groups, "extra": user.extra,
                "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
            },
        });
        let answer: Answer<Authorization> =
            self.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", &review).await?;
        Ok(if is_allowed(&answer.status) { Verdict::Allowed } else { Verdict::Forbidden { user: user.username } })
    }

    /// The answer is read here and not by the client, which logs one that it cannot read, and the token with it.
    async fn create<T: DeserializeOwned>(&self, path: &str, review: &Value) -> Result<Answer<T>, String> {
        let request = Request::new(path).create(&PostParams::default(), review.to_string().into_bytes());
        let request = request.map_err(|error| error.to_string())?;
        let text = self.api.request_text(request).await.map_err(|error| error.to_string())?;
        serde_json::from_str(&text).map_err(|_| format!("the answer of {path} cannot be read"))
    }
}

/// What is read of a review.
#[derive(Deserialize)]
struct Answer<T> {
    status: T,
}

/// Source: TokenReviewStatus of authentication.k8s.io/v1. A field that is missing says no.
#[derive(Deserialize)]
struct Authentication {
    #[serde(default)]
    authenticated: bool,
    user: Option<User>,
}

/// Whoever showed the token; all of it is passed on, as an authorizer may go by any of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    extra: Value,
}

/// Source: SubjectAccessReviewStatus of authorization.k8s.io/v1.
#[derive(Deserialize)]
struct Authorization {
    #[serde(default)]
    allowed: bool,
    #[serde(default)]
    denied: bool,
}

fn authenticated(status: Authentication) -> Option<User> {
    status.user.filter(|user| status.authenticated && !user.username.is_empty())
}

fn is_allowed(status: &Authorization) -> bool {
    status.allowed && !status.denied
}

#[cfg(test)]
mod tests;
