//! Who may read the metrics, where they are secured: whoever the API server knows by a bearer token and allows to get the path `/metrics`.
//! The same two questions that kube-rbac-proxy and controller-runtime ask.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus, UserInfo};
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use kube::api::PostParams;
use kube::{Api, Client};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
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

/// Asks the API server, one question at a time: a flood of wrong tokens costs it one call after the other.
pub struct Reviews {
    api: Client,
    known: std::sync::Mutex<HashMap<[u8; 32], (Instant, Verdict)>>,
    asking: Mutex<()>,
}

impl Reviews {
    /// Asks through `api`, which needs the verb create on tokenreviews and subjectaccessreviews.
    pub fn new(api: Client) -> Self {
        Self { api, known: std::sync::Mutex::default(), asking: Mutex::new(()) }
    }

    /// Whether the bearer of this token may get `/metrics`.
    pub async fn judge(&self, token: &str) -> Result<Verdict, NoAnswer> {
        if token.is_empty() || token.len() > LONGEST_TOKEN {
            return Ok(Verdict::Unknown);
        }
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(verdict) = self.kept(&digest) {
            return Ok(verdict);
        }
        let answer = async {
            let _turn = self.asking.lock().await;
            match self.kept(&digest) {
                Some(verdict) => Ok(verdict),
                None => self.ask(token).await,
            }
        };
        let verdict = match timeout(DEADLINE, answer).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(error)) => {
                warn!(%error, "the API server does not say who may read the metrics: does the operator have the chart's rights for metrics.secure?");
                return Err(NoAnswer);
            }
            Err(_) => return Err(NoAnswer),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(digest, (Instant::now(), verdict.clone()));
        Ok(verdict)
    }

    fn kept(&self, digest: &[u8; 32]) -> Option<Verdict> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (at, verdict)| at.elapsed() < if *verdict == Verdict::Allowed { YES } else { NO });
        known.get(digest).map(|(_, verdict)| verdict.clone())
    }

    async fn ask(&self, token: &str) -> kube::Result<Verdict> {
        let spec = TokenReviewSpec { token: Some(token.to_owned()), ..TokenReviewSpec::default() };
        let review = TokenReview { spec, ..TokenReview::default() };
        let review = Api::all(self.api.clone()).create(&PostParams::default(), &review).await?;
        let Some(user) = authenticated(review.status.unwrap_or_default()) else { return Ok(Verdict::Unknown) };
        let name = user.username.clone().unwrap_or_default();
        let review = SubjectAccessReview { spec: get_metrics(user), ..SubjectAccessReview::default() };
        let review = Api::all(self.api.clone()).create(&PostParams::default(), &review).await?;
        Ok(if is_allowed(&review.status.unwrap_or_default()) {
            Verdict::Allowed
        } else {
            Verdict::Forbidden { user: name }
        })
    }
}

fn authenticated(status: TokenReviewStatus) -> Option<UserInfo> {
    status.user.filter(|_| status.authenticated == Some(true))
}

fn is_allowed(status: &SubjectAccessReviewStatus) -> bool {
    status.allowed && status.denied != Some(true)
}

fn get_metrics(user: UserInfo) -> SubjectAccessReviewSpec {
    SubjectAccessReviewSpec {
        user: user.username,
        uid: user.uid,
        groups: user.groups,
        extra: user.extra,
        non_resource_attributes: Some(NonResourceAttributes {
            path: Some("/metrics".to_owned()),
            verb: Some("get".to_owned()),
        }),
        ..SubjectAccessReviewSpec::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_counts() {
        let user = UserInfo { username: Some("jane".to_owned()), ..UserInfo::default() };
        let known = |authenticated, user| TokenReviewStatus { authenticated, user, ..TokenReviewStatus::default() };
        assert_eq!(authenticated(known(Some(true), Some(user.clone()))), Some(user.clone()));
        for (yes, user) in [(Some(false), Some(user.clone())), (None, Some(user)), (Some(true), None)] {
            assert_eq!(authenticated(known(yes, user)), None);
        }
        let said =
            |allowed, denied| SubjectAccessReviewStatus { allowed, denied, ..SubjectAccessReviewStatus::default() };
        assert!(is_allowed(&said(true, None)) && is_allowed(&said(true, Some(false))));
        assert!(!is_allowed(&said(false, None)) && !is_allowed(&said(true, Some(true))));
    }
}
