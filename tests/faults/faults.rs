//! What goes wrong between the operator and the world: rules that pick a call and say what becomes of it.
//!
//! What the cloud itself does wrong is told to the stand-in cloud, by its own rules.

use std::time::Duration;

use kube_apiserver_model::Verb;
use serde_json::Value;

/// One call of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// To the API server.
    Api { verb: Verb, namespace: Option<String>, plural: String, subresource: Option<String>, name: String },
    /// To the cloud.
    Cloud { action: String, region: String, ids: Vec<String> },
}

impl Call {
    /// For the log.
    pub fn describe(&self) -> String {
        match self {
            Self::Api { verb, plural, subresource, name, .. } => {
                let sub = subresource.as_deref().map(|sub| format!("/{sub}")).unwrap_or_default();
                format!("{verb:?} {plural}{sub} {name}")
            }
            Self::Cloud { action, .. } => action.clone(),
        }
    }

    /// Whether it changes anything where it arrives: what only reads leaves the same world, carried out or not.
    pub fn changes(&self) -> bool {
        match self {
            Self::Api { verb, .. } => !matches!(verb, Verb::Get | Verb::List | Verb::Watch),
            Self::Cloud { action, .. } => !action.starts_with("Describe"),
        }
    }
}

/// Which call a rule means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The n-th call of all, counted from 0.
    Nth(u64),
    /// Calls with this verb on this resource.
    Api(Verb, &'static str),
    /// Writes of a status.
    StatusWrite,
    /// Anything sent to the API server but watches.
    AnyApi,
    /// Anything sent to the API server about this namespace.
    Within(&'static str),
    /// Calls of this action.
    Cloud(&'static str),
    /// Calls of the cloud that ask about or act on this machine.
    CloudNaming(String),
    /// Calls to the cloud in this region.
    CloudOf(&'static str),
    /// Any call of the cloud.
    AnyCloud,
}

impl Place {
    fn is(&self, nth: u64, call: &Call) -> bool {
        match (self, call) {
            (Self::Nth(wanted), _) => *wanted == nth,
            (Self::Api(verb, plural), Call::Api { verb: v, plural: p, .. }) => verb == v && plural == p,
            (Self::StatusWrite, Call::Api { verb: Verb::Replace, plural, subresource: Some(_), .. }) => {
                plural == "paiinstances"
            }
            (Self::AnyApi, Call::Api { verb, .. }) => *verb != Verb::Watch,
            (Self::Within(wanted), Call::Api { namespace, .. }) => namespace.as_deref() == Some(wanted),
            (Self::Cloud(wanted), Call::Cloud { action, .. }) => wanted == action,
            (Self::CloudOf(wanted), Call::Cloud { region, .. }) => wanted == region,
            (Self::CloudNaming(wanted), Call::Cloud { ids, .. }) => ids.contains(wanted),
            (Self::AnyCloud, Call::Cloud { .. }) => true,
            _ => false,
        }
    }
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The process dies before it is sent.
    CrashBefore,
    /// The process dies when it is sent; it arrives this much later.
    CrashInFlight(Duration),
    /// It is carried out, and the process dies before the answer comes.
    CrashAfter,
    /// It is carried out and the answer is lost: the connection breaks.
    LoseAnswer,
    /// It is lost on the way: the connection breaks.
    LoseRequest,
    /// No connection can be made: certainly nothing was sent.
    NoConnection,
    /// The API server refuses it with this HTTP status and reason.
    Refuse(u16, &'static str),
    /// It arrives this much later; the caller may have given up by then.
    Delay(Duration),
    /// It is carried out, and the answer comes this much later.
    SlowAnswer(Duration),
    /// It is never answered and never carried out.
    BlackHole,
    /// The whole process stands still for this long, just before it is sent.
    Freeze(Duration),
    /// The whole process stands still for this long, just after the answer came.
    FreezeAfter(Duration),
    /// It is carried out, and the code that gets the answer panics.
    PanicAfter,
    /// It goes on its way, and all passes are dropped where they stand. What has a task of its own lives on.
    Abandon,
}

/// Lets `skip` fitting calls through, then spoils `times` of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub at: Place,
    pub skip: u32,
    pub times: u32,
    pub trouble: Trouble,
}

/// The rules in force.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Vec<Rule>,
    /// How late watches deliver.
    pub watch_delay: Duration,
    /// How many of the next watch events are lost.
    pub watch_drops: u32,
    /// How many of the next watch events come twice.
    pub watch_doubles: u32,
    /// Whether events that are delivered together come in the wrong order.
    pub watch_reversed: bool,
    /// A list of our objects as a lagging replica still has it, for the next one who lists them.
    pub old_list: Option<Value>,
    /// One of our objects as it was, for so many of the next reads: no API server gives such an answer to a read with quorum.
    pub old_object: Option<(u32, Value)>,
    /// Until when the API server answers nothing, as time since the start.
    pub api_down_until: Duration,
}

impl Faults {
    pub fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// One rule for the first fitting call.
    pub fn once(&mut self, at: Place, trouble: Trouble) {
        self.add(Rule { at, skip: 0, times: 1, trouble });
    }

    /// Everything works from now on.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Counts a call in all rules; the oldest that is due decides what becomes of it.
    pub fn next(&mut self, nth: u64, call: &Call) -> Option<Trouble> {
        let mut taken = None;
        for rule in self.rules.iter_mut().filter(|rule| rule.at.is(nth, call)) {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if taken.is_none() && rule.times > 0 {
                rule.times -= 1;
                taken = Some(rule.trouble.clone());
            }
        }
        self.rules.retain(|rule| rule.times > 0);
        taken
    }
}
