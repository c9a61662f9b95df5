//! The one list of reasons of Events that are no reasons of `Ready`: what was done, rather than how it stands. Pure; `docs/conditions.md` is
//! made from it.

macro_rules! event_reasons {
    ($($(#[doc = $doc:literal])* $name:ident $warns:literal $remedy:literal,)*) => {
        /// What an Event tells of. Source: our choice; users' scripts rely on these words, so only add.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventReason { $($(#[doc = $doc])* $name,)* }

        impl EventReason {
            /// Every one, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word in the Event.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// Whether it is a Warning.
            pub fn warns(self) -> bool {
                match self { $(Self::$name => $warns,)* }
            }

            /// What has happened, in one sentence.
            pub fn cause(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii_start(),)* }
            }

            /// What to do about it.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }
        }
    };
}

event_reasons! {
    /// A machine was found that a create of this object bought, of which the object had not learned.
    Found false
        "Nothing: it is recorded, and no other one is bought.",
    /// A machine that this object did not buy is taken as its own, because a person said so.
    Adopted false
        "Nothing. It outlives the object, unless the note says otherwise.",
    /// Nobody can know whether a create bought a machine, and a person is asked.
    AttemptHeld true
        "Look into the console and answer with one of the commands in the message of `Ready`.",
    /// A create whose outcome nobody learned counts as having bought nothing, and is tried again.
    AttemptLapsed false
        "Nothing. If the machine shows later, the object says `DuplicateFound`.",
    /// A create whose outcome nobody learned counts as having bought nothing, and is not tried again by itself.
    AttemptAbandoned false
        "Recreate it with the command in the message of `Ready`, or delete the object.",
    /// A person's answer by annotation fits nothing that was asked, and stays without effect.
    AnswerIgnored true
        "Take the annotation away; when a person is asked, the message of `Ready` holds the command.",
    /// The object was deleted and its machine is terminated.
    Terminated false
        "Nothing: nothing is billed any more.",
    /// The object was deleted and its prepaid machine is in the cloud's recycle bin.
    Recycled false
        "Renew it in the console to get it back, or destroy it there.",
    /// The object was deleted and its machine runs on.
    Retained true
        "It is billed: terminate it in the console once nobody needs it.",
    /// The object was deleted while nobody had learned whether its create bought a machine.
    Released true
        "Look for the name in the note in the console: a machine that shows is billed, and yours to terminate.",
}
