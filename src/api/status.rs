//! `PaiInstance.status`: what the operator knows. Written by the operator alone; data and small questions about it, no IO.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// What the operator knows about the machine. Nobody but the operator should write here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaiInstanceStatus {
    /// The generation of the object that this status speaks of; -1 before the first visit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready` and `Synced` always; `Reconciling` and `Stalled` only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Ids of the machines that belong to this object, as the cloud gave them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 64)))]
    pub instance_ids: Vec<String>,
    /// RequestId of the call that created the machine. The cloud's support asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub request_id: Option<String>,
    /// The record of the last attempt to create the machine, written before the call is made.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "even_in_part")]
    pub create_attempt: Option<CreateAttempt>,
    /// The machines as the cloud last described them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub instances: Vec<InstanceStatus>,
    /// Attempts of the last day that lapsed: a machine of theirs may still show, and is looked for once an hour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub lapsed_attempts: Vec<LapsedAttempt>,
    /// Ids of machines that a lapsed attempt did buy, beside those of this object. Each is billed until a person terminates it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 64)))]
    pub duplicate_instance_ids: Vec<String>,
    /// A value of the annotation `pai.tencentcloud.io/resolve-create` that answered no question when it was given. It is not acted on
    /// while it stands there; an answer is new once the annotation was taken away or changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub ignored_answer: Option<String>,
    /// Management page of the machine, where the cloud names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub pai_mate_url: Option<String>,
}

/// The record of one attempt to create the machine: the intent before the call, the outcome after it.
///
/// All fields but `state`, `requestId` and `reason` are frozen once written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateAttempt {
    /// Random id of the attempt. Name it in the annotation `pai.tencentcloud.io/resolve-create`.
    #[schemars(length(min = 1, max = 64))]
    pub id: String,
    /// Number of the attempt, counted from 1.
    #[schemars(range(min = 1))]
    pub ordinal: i64,
    /// `Sending`, `Created`, `Rejected`, `Uncertain`, `Held`, `Lapsed` or `Abandoned`.
    #[schemars(with = "String", length(min = 1, max = 32))]
    pub state: AttemptState,
    /// When the request was signed. The cloud accepts it within five minutes of this.
    #[schemars(with = "String", length(max = 40), extend("format" = "date-time"))]
    pub signed_at: Timestamp,
    /// The secret id (an identifier, not a secret) whose account was asked.
    #[schemars(length(max = 1024))]
    pub secret_id: String,
    /// The region that was asked.
    #[schemars(length(max = 40))]
    pub region: String,
    /// The domain name that was sent.
    #[schemars(length(max = 253))]
    pub domain_name: String,
    /// The instance name that was sent.
    #[schemars(length(max = 60))]
    pub instance_name: String,
    /// `Generated` by the operator (proof of ownership by itself) or given by the `User`.
    #[schemars(with = "String", length(max = 32))]
    pub name_origin: NameOrigin,
    /// The charge type that was sent.
    #[schemars(length(max = 64))]
    pub charge_type: String,
    /// How many attempts in a row before this one lapsed: nobody ever learned what became of them.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub lapsed_before: i64,
    /// RequestId of the answer, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub request_id: Option<String>,
    /// Why the attempt is in this state: the cloud's code, or what happened to the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
}

/// Reads the record also where a part of it is missing, because an older CRD pruned it: one object that cannot be read would make the
/// whole list of objects unreadable, and so stop the operator for all of them.
fn even_in_part<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<CreateAttempt>, D::Error> {
    let record = Option::<Value>::deserialize(deserializer)?;
    Ok(record.map(|record| CreateAttempt::deserialize(&record).unwrap_or_else(|_| CreateAttempt::remains(&record))))
}

/// The id of a record that lost its own.
const LOST_ID: &str = "lost";

/// The reason of a record that lost a part.
const INCOMPLETE: &str = "the API server kept only a part of its record";

impl CreateAttempt {
    /// What is left of a record that lost a part. Open, it is held: without all of it nobody but a person can tell what became of it.
    fn remains(record: &Value) -> Self {
        let text = |field: &str| record.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |field: &str| record.get(field).and_then(Value::as_i64);
        let state: Option<AttemptState> = record.get("state").and_then(|word| AttemptState::deserialize(word).ok());
        Self {
            id: Some(text("id")).filter(|id| !id.is_empty()).unwrap_or_else(|| LOST_ID.to_owned()),
            ordinal: number("ordinal").unwrap_or(1),
            state: state.filter(|state| !state.is_open()).unwrap_or(AttemptState::Held),
            signed_at: text("signedAt").parse().unwrap_or(Timestamp::UNIX_EPOCH),
            secret_id: text("secretId"),
            region: text("region"),
            domain_name: text("domainName"),
            instance_name: text("instanceName"),
            name_origin: NameOrigin::Other(text("nameOrigin")),
            charge_type: text("chargeType"),
            lapsed_before: number("lapsedBefore").unwrap_or_default(),
            request_id: None,
            reason: Some(INCOMPLETE.to_owned()),
        }
    }

    /// Whether the record lost a part, so that nothing can be looked for by it.
    pub fn is_incomplete(&self) -> bool {
        self.reason.as_deref() == Some(INCOMPLETE)
    }
}

/// Most lapsed attempts that are kept. Source: our choice: three in a row take a person, and each takes a quarter of an hour.
pub const LAPSED_LIMIT: usize = 8;

/// What is needed to recognise a late machine of an attempt that lapsed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LapsedAttempt {
    /// When its request was signed.
    #[schemars(with = "String", length(max = 40), extend("format" = "date-time"))]
    pub signed_at: Timestamp,
    /// The instance name that was sent.
    #[schemars(length(max = 60))]
    pub instance_name: String,
    /// `Generated` by the operator or given by the `User`.
    #[schemars(with = "String", length(max = 32))]
    pub name_origin: NameOrigin,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference to the field
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// State of a create attempt. An unknown word (written by a newer operator) is kept and counts as open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptState {
    /// The intent stands; the call may be on its way.
    Sending,
    /// The cloud gave ids.
    Created,
    /// The cloud definitely did not create anything.
    Rejected,
    /// Nobody knows yet whether a machine exists.
    Uncertain,
    /// Nobody can know without a person.
    Held,
    /// Settled: the attempt left nothing behind.
    Lapsed,
    /// A person gave it up.
    Abandoned,
    /// A word of another version.
    #[serde(untagged)]
    Other(String),
}

impl AttemptState {
    /// The word in the status; of another version's `Other`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Sending => "Sending",
            Self::Created => "Created",
            Self::Rejected => "Rejected",
            Self::Uncertain => "Uncertain",
            Self::Held => "Held",
            Self::Lapsed => "Lapsed",
            Self::Abandoned => "Abandoned",
            Self::Other(_) => "Other",
        }
    }

    /// Whether the attempt may still turn out to have bought a machine, so that no other create may be sent.
    ///
    /// Source: reliability rule "open = Sending, Uncertain, Held, and any state that this version does not know".
    pub fn is_open(&self) -> bool {
        match self {
            Self::Sending | Self::Uncertain | Self::Held | Self::Other(_) => true,
            Self::Created | Self::Rejected | Self::Lapsed | Self::Abandoned => false,
        }
    }
}

/// Where the instance name came from. An unknown word counts as the user's: the weaker proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NameOrigin {
    /// Made by the operator from namespace, name and UID.
    Generated,
    /// Written by the user in `spec.instanceName`.
    User,
    /// A word of another version.
    #[serde(untagged)]
    Other(String),
}

/// By what a person recognised a machine that was adopted. An unknown word counts as the name alone: the weaker claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AdoptedBy {
    /// It has the object's domain.
    Domain,
    /// It has the object's instance name and not (visibly) its domain: it is never terminated.
    Name,
    /// A word of another version.
    #[serde(untagged)]
    Other(String),
}

/// One machine as the cloud last described it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    /// Id of the machine, for example `ins-bmmk7d75`.
    #[schemars(length(min = 1, max = 64))]
    pub id: String,
    /// State in the cloud's own words, for example `PENDING` or `RUNNING`; empty until it was first listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub state: Option<String>,
    /// Availability zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub zone: Option<String>,
    /// Instance type that was taken from the candidates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub instance_type: Option<String>,
    /// Charge type as the cloud says it. It decides what a deletion does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub charge_type: Option<String>,
    /// Public IPv4 addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), inner(length(max = 64)))]
    pub public_ip_addresses: Vec<String>,
    /// Private IPv4 addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), inner(length(max = 64)))]
    pub private_ip_addresses: Vec<String>,
    /// When the cloud created it, in the cloud's own form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub created_time: Option<String>,
    /// When a prepaid machine expires, in the cloud's own form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub expired_time: Option<String>,
    /// The cloud's latest operation on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub latest_operation: Option<String>,
    /// Outcome of that operation: `SUCCESS`, `OPERATING` or `FAILED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub latest_operation_state: Option<String>,
    /// Restriction the cloud put on it, when it is not `NORMAL`: `EXPIRED` or `PROTECTIVELY_ISOLATED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub restrict_state: Option<String>,
    /// The object's domain, once the cloud's list of PAI instances showed the machine with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub domain_name: Option<String>,
    /// How it came to this object, if a person gave it: by its `Domain`, or by its `Name` alone. Unset for a machine that was
    /// created for this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(max = 32))]
    pub adopted_by: Option<AdoptedBy>,
    /// The secret id (an identifier) under which it was last seen. Absence under another one proves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub secret_id: Option<String>,
    /// When the one and only TerminateInstances of a prepaid machine was decided. A second call would destroy it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(max = 40), extend("format" = "date-time"))]
    pub terminate_sent_at: Option<Timestamp>,
}

impl PaiInstanceStatus {
    /// The secret id under which a machine was last seen, or else bought: only that account's list can show that it is gone.
    pub fn known_under(&self, id: &str) -> Option<&str> {
        let seen = self.instances.iter().find(|known| known.id == id).and_then(|known| known.secret_id.as_deref());
        seen.or_else(|| self.create_attempt.as_ref().map(|attempt| attempt.secret_id.as_str()))
    }

    /// The attempt that forbids any other create, if there is one.
    pub fn open_attempt(&self) -> Option<&CreateAttempt> {
        self.create_attempt.as_ref().filter(|attempt| attempt.state.is_open())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(state: &str) -> Value {
        json!({
            "id": "a1", "ordinal": 2, "state": state, "signedAt": "2027-01-15T08:00:00Z", "secretId": "AKID",
            "region": "ap-guangzhou", "domainName": "web.example.com", "instanceName": "default-web-u",
            "nameOrigin": "Generated", "chargeType": "PREPAID",
        })
    }

    fn read(record: &Value) -> CreateAttempt {
        let status: PaiInstanceStatus = serde_json::from_value(json!({"createAttempt": record})).unwrap();
        status.create_attempt.unwrap()
    }

    #[test]
    fn a_record_that_lost_a_part_is_read_and_held() {
        assert!(!read(&record("Sending")).is_incomplete());
        assert_eq!(read(&record("Verifying")).state, AttemptState::Other("Verifying".to_owned()));
        let none: PaiInstanceStatus = serde_json::from_value(json!({"createAttempt": null})).unwrap();
        assert_eq!(none.create_attempt, None);
        let whole = record("Sending");
        for part in whole.as_object().unwrap().keys().filter(|part| *part != "state") {
            for (state, expected) in [("Sending", AttemptState::Held), ("Rejected", AttemptState::Rejected)] {
                let mut record = record(state);
                record.as_object_mut().unwrap().remove(part);
                let read = read(&record);
                assert!(read.is_incomplete(), "{part}");
                assert_eq!(read.state, expected, "{part}");
            }
        }
        let mut stateless = record("Created");
        stateless.as_object_mut().unwrap().remove("state");
        assert_eq!(read(&stateless).state, AttemptState::Held);
        assert_eq!(read(&json!({})).state, AttemptState::Held);
    }
}
