//! Proof: which of the machines that a lookup found are ours. Pure. Nothing is ever adopted on less than this.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::lookup::Found;
use crate::api::{CreateAttempt, LapsedAttempt, NameOrigin};
use crate::tencent::Instance;

/// How long before its signature a machine of an attempt may have been created, by the cloud's clock: the clocks differ a little.
const BEFORE: Duration = Duration::from_secs(2 * 60);

/// How long after: the five minutes within which the cloud takes a signature, and generous time to create.
const AFTER: Duration = Duration::from_secs(15 * 60);

/// What a lookup means for one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// No machine has our domain or our name.
    Nothing,
    /// Exactly one, and it is proven to be ours.
    Ours(String),
    /// Exactly one, and it is not proven to be ours.
    NotProven(String),
    /// Several.
    Several(Vec<String>),
}

/// Judges a lookup for a domain, a name and where it came from, and the attempt that is open, if one is.
///
/// Source: reliability steps 6 and 13. A generated name proves by itself; a name that a user chose proves only together with the
/// domain and the time of creation, and only for an open attempt.
pub fn judge(found: &Found, domain: &str, origin: &NameOrigin, open: Option<&CreateAttempt>) -> Match {
    let mut ids: BTreeSet<String> = found.with_domain(domain).into_iter().collect();
    let named = found.named.iter().filter(|instance| match (origin, open) {
        (NameOrigin::Generated, _) => true,
        (_, Some(attempt)) => {
            created_by(instance, attempt.signed_at) && !found.has_other_domain(instance.instance_id.as_str(), domain)
        }
        (_, None) => false,
    });
    ids.extend(named.map(|instance| instance.instance_id.to_string()));
    let mut ids: Vec<String> = ids.into_iter().collect();
    match (ids.pop(), ids.is_empty()) {
        (None, _) => Match::Nothing,
        (Some(id), true) if proven(found, domain, origin, open, &id) => Match::Ours(id),
        (Some(id), true) => Match::NotProven(id),
        (Some(last), false) => {
            ids.push(last);
            Match::Several(ids)
        }
    }
}

fn proven(found: &Found, domain: &str, origin: &NameOrigin, open: Option<&CreateAttempt>, id: &str) -> bool {
    let Some(instance) = found.named.iter().find(|instance| instance.instance_id.as_str() == id) else {
        return false;
    };
    match (origin, open) {
        (NameOrigin::Generated, _) => true,
        (_, Some(attempt)) => {
            created_by(instance, attempt.signed_at) && found.with_domain(domain).iter().any(|known| known == id)
        }
        (_, None) => false,
    }
}

/// Whether a machine is one that a lapsed attempt bought, by the same proof.
pub fn bought_by(found: &Found, domain: &str, lapsed: &LapsedAttempt, instance: &Instance) -> bool {
    let id = instance.instance_id.as_str();
    instance.instance_name.as_deref() == Some(&lapsed.instance_name)
        && match lapsed.name_origin {
            NameOrigin::Generated => true,
            _ => created_by(instance, lapsed.signed_at) && found.with_domain(domain).iter().any(|known| known == id),
        }
}

/// Whether a request signed then could have created the machine.
fn created_by(instance: &Instance, signed_at: Timestamp) -> bool {
    instance.created_time.is_some_and(|created| created >= signed_at - BEFORE && created <= signed_at + AFTER)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::api::AttemptState;

    const DOMAIN: &str = "web.pai.tcloudbase.com";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn attempt() -> CreateAttempt {
        CreateAttempt {
            id: "a".to_owned(),
            ordinal: 1,
            state: AttemptState::Uncertain,
            signed_at: at(0),
            secret_id: "AKID".to_owned(),
            region: "ap-guangzhou".to_owned(),
            domain_name: DOMAIN.to_owned(),
            instance_name: "name".to_owned(),
            name_origin: NameOrigin::User,
            charge_type: "POSTPAID_BY_HOUR".to_owned(),
            lapsed_before: 0,
            request_id: None,
            reason: None,
        }
    }

    /// `domains`: (id, domain) of the PAI list, or that it is retired; `named`: (id, created) of the machines with our name.
    fn found(domains: Option<&[(&str, &str)]>, named: &[(&str, i64)]) -> Found {
        let instance = |(id, created): &(&str, i64)| {
            serde_json::from_value(
                json!({"InstanceId": id, "InstanceName": "name", "CreatedTime": at(*created).to_string()}),
            )
            .unwrap()
        };
        let domains = domains.map(|pairs| {
            Arc::new(
                pairs.iter().map(|(id, domain)| ((*id).to_owned(), (*domain).to_owned())).collect::<BTreeMap<_, _>>(),
            )
        });
        Found {
            begun: tokio::time::Instant::now(),
            begun_at: at(0),
            cloud_time: None,
            domains,
            named: named.iter().map(instance).collect(),
        }
    }

    #[test]
    #[allow(clippy::too_many_lines)] // a table
    fn what_is_ours() {
        use Match::{NotProven, Nothing, Ours, Several};
        use NameOrigin::{Generated, User};
        let one = || "ins-1".to_owned();
        let attempt = attempt();
        let open = Some(&attempt);
        let here: &[(&str, &str)] = &[("ins-1", DOMAIN)];
        let elsewhere: &[(&str, &str)] = &[("ins-1", "other.pai.tcloudbase.com")];
        let rows: Vec<(&str, Found, NameOrigin, Option<&CreateAttempt>, Match)> = vec![
            ("nothing", found(Some(&[]), &[]), Generated, None, Nothing),
            ("others only", found(Some(elsewhere), &[]), Generated, None, Nothing),
            ("our marker", found(Some(here), &[("ins-1", 5)]), Generated, None, Ours(one())),
            ("our marker before its domain shows", found(Some(&[]), &[("ins-1", 5)]), Generated, open, Ours(one())),
            ("our marker, no PAI list", found(None, &[("ins-1", 5)]), Generated, open, Ours(one())),
            ("our marker, however old", found(None, &[("ins-1", -99_999)]), Generated, None, Ours(one())),
            ("our domain on a machine of another name", found(Some(here), &[]), Generated, open, NotProven(one())),
            (
                "two with our marker",
                found(Some(&[]), &[("ins-1", 5), ("ins-2", 5)]),
                Generated,
                open,
                Several(vec![one(), "ins-2".to_owned()]),
            ),
            (
                "marker and domain on two machines",
                found(Some(here), &[("ins-2", 5)]),
                Generated,
                open,
                Several(vec![one(), "ins-2".to_owned()]),
            ),
            ("user name, domain and time", found(Some(here), &[("ins-1", 5)]), User, open, Ours(one())),
            ("user name at the window's edges", found(Some(here), &[("ins-1", -120)]), User, open, Ours(one())),
            ("user name at the window's end", found(Some(here), &[("ins-1", 900)]), User, open, Ours(one())),
            (
                "user name, too old: somebody had it before",
                found(Some(here), &[("ins-1", -121)]),
                User,
                open,
                NotProven(one()),
            ),
            ("user name, too young", found(Some(here), &[("ins-1", 901)]), User, open, NotProven(one())),
            (
                "user name of another time, without the domain",
                found(Some(&[]), &[("ins-1", -121)]),
                User,
                open,
                Nothing,
            ),
            ("user name without the domain", found(Some(&[]), &[("ins-1", 5)]), User, open, NotProven(one())),
            ("user name, no PAI list", found(None, &[("ins-1", 5)]), User, open, NotProven(one())),
            ("user name under another domain", found(Some(elsewhere), &[("ins-1", 5)]), User, open, Nothing),
            ("user name while nothing is open", found(Some(&[]), &[("ins-1", 5)]), User, None, Nothing),
            ("our domain while nothing is open", found(Some(here), &[("ins-1", 5)]), User, None, NotProven(one())),
            (
                "an origin that this version does not know",
                found(Some(&[]), &[("ins-1", 5)]),
                NameOrigin::Other("X".to_owned()),
                None,
                Nothing,
            ),
        ];
        for (name, found, origin, open, expected) in rows {
            assert_eq!(judge(&found, DOMAIN, &origin, open), expected, "{name}");
        }
    }
}
