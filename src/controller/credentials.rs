//! Credentials from a Secret, by `get` alone: never a list or a watch, which would mean reading every Secret.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use secrecy::SecretString;
use tokio::time::Instant;

use super::observe::Observe;
use super::problem::Problem;
use super::references::{Denied, denied, how_to_allow};
use crate::api::Reason;
use crate::tencent::{Credentials, SecretId};

/// How long a read Secret is used again. Source: our choice: short, so that a rotation is seen within seconds, long enough that a
/// burst of passes over many objects with one Secret is one read.
const CACHE: Duration = Duration::from_secs(5);

/// Credentials and the version of the Secret they came from.
#[derive(Clone, Debug)]
pub struct Found {
    /// The credentials.
    pub credentials: Credentials,
    /// resourceVersion of the Secret.
    pub version: Option<String>,
}

/// The last good credentials by namespace and name, and when they were read; without that they are read again at once.
type Shelf = HashMap<(String, String), (Found, Option<Instant>)>;

/// Reads credentials, with a short cache by namespace and name.
#[derive(Debug, Default)]
pub struct CredentialsReader {
    last_good: Mutex<Shelf>,
}

impl CredentialsReader {
    /// The credentials in the Secret, or why there are none.
    ///
    /// An object that is being deleted falls back to the last good credentials when the Secret is gone: a namespace deletion may take
    /// the Secret first. Errors that pass (the API server is away) are `Err` of the outer result.
    pub async fn read(
        &self,
        api: &Client,
        now: Instant,
        namespace: &str,
        name: &str,
        deleting: bool,
    ) -> Result<Result<Found, Problem>, Observe> {
        if let Some(found) = self.known(now, namespace, name, CACHE) {
            return Ok(Ok(found));
        }
        let key = (namespace.to_owned(), name.to_owned());
        let last_good = self.locked().get(&key).cloned();
        let secrets: Api<Secret> = Api::namespaced(api.clone(), namespace);
        let found = match secrets.get(name).await {
            Ok(secret) => parse(name, &secret),
            Err(error) => match denied(&error) {
                Some(Denied::NotFound) => Err(missing(namespace, name)),
                Some(Denied::Forbidden { service_account }) => Err(forbidden(&service_account, namespace, name)),
                None => return Err(Observe::ReadReference(Box::new(error))),
            },
        };
        match (found, last_good) {
            (Ok(found), _) => {
                self.locked().insert(key, (found.clone(), Some(now)));
                Ok(Ok(found))
            }
            // A namespace deletion may take the Secret, or the Role that lets us read it, before the object.
            (Err(_), Some((found, _))) if deleting => Ok(Ok(found)),
            (Err(problem), _) => Ok(Err(problem)),
        }
    }

    /// The credentials as they were read no longer than `most` ago, unless the cloud refused them since.
    pub fn known(&self, now: Instant, namespace: &str, name: &str, most: Duration) -> Option<Found> {
        let known = self.locked();
        let (found, read_at) = known.get(&(namespace.to_owned(), name.to_owned()))?;
        (now.duration_since((*read_at)?) < most).then(|| found.clone())
    }

    /// Makes the next read of these credentials a real one: the cloud refused them. They are kept for deletions all the same.
    pub fn drop_cached(&self, secret_id: &SecretId) {
        for (found, read_at) in self.locked().values_mut() {
            if found.credentials.secret_id == *secret_id {
                *read_at = None;
            }
        }
    }

    /// Forgets the credentials of all namespaces but these. Returns how many are left.
    pub fn keep_only(&self, namespaces: &BTreeSet<Arc<str>>) -> usize {
        let mut known = self.locked();
        known.retain(|(namespace, _), _| namespaces.contains(namespace.as_str()));
        known.len()
    }

    fn locked(&self) -> MutexGuard<'_, Shelf> {
        self.last_good.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forbidden(service_account: &str, namespace: &str, name: &str) -> Problem {
    let command = how_to_allow(service_account, "secrets", namespace, name);
    Problem::new(
        Reason::CredentialsForbidden,
        format!(
            "The operator may not read the Secret {namespace}/{name}: nothing is sent to the cloud. Allow it: {command}"
        ),
    )
}

fn missing(namespace: &str, name: &str) -> Problem {
    Problem::new(
        Reason::CredentialsNotFound,
        format!(
            "There is no Secret {namespace}/{name}; nothing is sent to the cloud. Create it: kubectl create secret generic {name} -n {namespace} \
             --from-literal=secretId=... --from-literal=secretKey=..."
        ),
    )
}

fn parse(name: &str, secret: &Secret) -> Result<Found, Problem> {
    let none = BTreeMap::new();
    let data = secret.data.as_ref().unwrap_or(&none);
    let secret_id = value(name, data, "secretId")?;
    let secret_key = value(name, data, "secretKey")?;
    let token = data.get("token").map(|_| value(name, data, "token")).transpose()?;
    let credentials = Credentials::new(
        &secret_id,
        SecretString::from(secret_key),
        token.map(SecretString::from),
    )
    .map_err(|error| {
        Problem::new(
            Reason::CredentialsInvalid,
            format!(
                "The Secret {name} is no use: {error}; nothing is sent to the cloud. Mend it, it is looked at again every minute."
            ),
        )
    })?;
    Ok(Found { credentials, version: secret.metadata.resource_version.clone() })
}

/// One key of the Secret: there, not empty, and without the slips of an editor or of `echo`, each of which is named.
fn value(name: &str, data: &BTreeMap<String, ByteString>, key: &str) -> Result<String, Problem> {
    let bytes = &data
        .get(key)
        .ok_or_else(|| {
            Problem::new(
                Reason::CredentialsNotFound,
                format!("The Secret {name} has no key {key}: add it, it is looked at again every minute."),
            )
        })?
        .0;
    if bytes.is_empty() {
        return Err(Problem::new(
            Reason::CredentialsNotFound,
            format!("The key {key} of the Secret {name} is empty: fill it, it is looked at again every minute."),
        ));
    }
    if bytes.iter().all(u8::is_ascii_graphic) {
        return Ok(bytes.iter().map(|&byte| char::from(byte)).collect());
    }
    let fault = match (bytes.first(), bytes.last()) {
        (_, Some(b'\n' | b'\r')) => "ends with a line break (write it with printf or --from-literal, not echo)",
        (Some(first), _) if first.is_ascii_whitespace() => "begins with white space",
        (_, Some(last)) if last.is_ascii_whitespace() => "ends with white space",
        _ => "holds a character that no key has (a blank, a line break or something that is not ASCII)",
    };
    Err(Problem::new(
        Reason::CredentialsInvalid,
        format!(
            "The key {key} of the Secret {name} {fault}: nothing is sent to the cloud. Mend it, it is looked at again every minute."
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(pairs: &[(&str, &[u8])]) -> Secret {
        Secret {
            data: Some(pairs.iter().map(|(k, v)| ((*k).to_owned(), ByteString(v.to_vec()))).collect()),
            ..Secret::default()
        }
    }

    type Row<'a> = (&'a [(&'a str, &'a [u8])], Reason, &'a str);

    #[test]
    fn every_fault_of_a_secret_is_named() {
        let rows: &[Row<'_>] = &[
            (&[("secretKey", b"k")], Reason::CredentialsNotFound, "no key secretId"),
            (&[("secretId", b"i")], Reason::CredentialsNotFound, "no key secretKey"),
            (
                &[("secretId", b"i"), ("secretKey", b"")],
                Reason::CredentialsNotFound,
                "secretKey of the Secret s is empty",
            ),
            (
                &[("secretId", b"i\n"), ("secretKey", b"k")],
                Reason::CredentialsInvalid,
                "secretId of the Secret s ends with a line break",
            ),
            (&[("secretId", b"i"), ("secretKey", b" k")], Reason::CredentialsInvalid, "begins with white space"),
            (&[("secretId", b"i"), ("secretKey", b"k ")], Reason::CredentialsInvalid, "ends with white space"),
            (&[("secretId", b"i"), ("secretKey", b"k\xff")], Reason::CredentialsInvalid, "not ASCII"),
            (
                &[("secretId", b"i"), ("secretKey", b"k"), ("token", b"")],
                Reason::CredentialsNotFound,
                "token of the Secret s is empty",
            ),
        ];
        for (pairs, reason, words) in rows {
            let problem = parse("s", &secret(pairs)).unwrap_err();
            assert_eq!(problem.reason, *reason, "{words}");
            assert!(problem.message.contains(words), "{} lacks {words}", problem.message);
        }
    }

    #[test]
    fn a_good_secret_is_read() {
        let found = parse("s", &secret(&[("secretId", b"AKID"), ("secretKey", b"k"), ("token", b"t")])).unwrap();
        assert_eq!(found.credentials.secret_id.to_string(), "AKID");
        assert!(found.credentials.token.is_some());
    }
}
