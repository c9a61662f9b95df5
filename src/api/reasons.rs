//! The one list of reasons of `Ready`, each with what a person should know. Pure; `docs/conditions.md` is made from it.

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $name:ident $stalled:literal $remedy:literal $cost:literal,)*) => {
        /// Why `Ready` is what it is. Source: our choice; users' scripts rely on these words, so only add.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[doc = $doc])* $name,)* }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word in the status.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// Whether nothing moves until a person acts (`Stalled=True`).
            pub fn needs_a_person(self) -> bool {
                match self { $(Self::$name => $stalled,)* }
            }

            /// What has happened, in one sentence.
            pub fn cause(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii_start(),)* }
            }

            /// What to do about it.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }

            /// What it costs meanwhile.
            pub fn cost(self) -> &'static str {
                match self { $(Self::$name => $cost,)* }
            }
        }
    };
}

reasons! {
    /// The machine runs and has the address it asked for.
    Available false
        "Nothing."
        "The price of the machine.",
    /// The machine is being created.
    Provisioning false
        "Wait: most machines run within a minute or two."
        "Nothing until the create is answered, then the price of the machine.",
    /// The machine is switched off, in rescue work, or in a state that this version does not know.
    Stopped false
        "Start it in the cloud's console, or leave it. The operator never starts a machine that somebody stopped."
        "A stopped machine is billed on, unless it was stopped in the no-charge mode; disks and addresses may be billed in any case.",
    /// The machine is being terminated.
    Deleting false
        "Wait."
        "The machine is billed until the cloud says that it is gone.",
    /// The cloud refused calls because there were too many.
    CloudThrottled false
        "Nothing: the operator slows down and goes on. If it lasts, find out who else uses the account's quota."
        "Time only: a call that was refused bought nothing.",
    /// The cloud could not be reached, or failed.
    CloudUnavailable false
        "Nothing, if it passes; else look at DNS, proxy and network policy."
        "Machines run and are billed as before; only what is shown may be old.",
    /// The types asked for are sold out.
    OutOfStock false
        "Wait, or delete the object and create it with another type or zone."
        "Nothing: no machine was bought.",
    /// The account's quota is used up.
    QuotaExceeded false
        "Ask the cloud for more, or end machines that nobody needs."
        "Nothing: no machine was bought.",
    /// The account's balance is too low, or the cloud restricted the machine for arrears.
    InsufficientBalance false
        "Top up the account."
        "Without a machine nothing; a machine in arrears may be stopped and later destroyed by the cloud.",
    /// A create was sent and nobody knows yet whether it bought a machine.
    OutcomeUnknown false
        "Wait: the operator looks until it knows. Once the message says that it is held, a person decides with the command in the message."
        "Perhaps one machine that nobody sees yet; no other one is bought while this is unknown.",
    /// The credentials Secret, or a key in it, is missing or empty.
    CredentialsNotFound true
        "Create the Secret with the keys secretId and secretKey."
        "Nothing new; a machine that exists is billed on and is not watched meanwhile.",
    /// The operator may not read the credentials Secret.
    CredentialsForbidden true
        "Allow it with the command in the message."
        "Nothing new; a machine that exists is billed on and is not watched meanwhile.",
    /// The cloud refused the credentials, or they are malformed.
    CredentialsInvalid true
        "Put a valid key with the needed permissions into the Secret."
        "Nothing new; a machine that exists is billed on and is not watched meanwhile.",
    /// The credentials belong to another secret id than the one that saw the machine.
    CredentialsChanged true
        "Confirm with the command in the message, or bring the old key back."
        "Nothing new; a machine that exists is billed on and is not watched meanwhile.",
    /// A Secret or ConfigMap named in the spec, or a key in it, is missing or unfit.
    ReferenceNotFound true
        "Create it, or mend the key."
        "Nothing: no machine was bought.",
    /// The operator may not read a Secret or ConfigMap named in the spec.
    ReferenceForbidden true
        "Allow it with the command in the message."
        "Nothing: no machine was bought.",
    /// The cloud refused the parameters.
    InvalidSpec true
        "Edit the field that the message names; what is immutable needs a new object."
        "Nothing: no machine was bought.",
    /// The cloud no longer offers the action.
    ApiRetired true
        "Nobody can buy such a machine by this API any more: delete the object, or ask the cloud."
        "Nothing: no machine was bought. Machines that exist are still followed and terminated.",
    /// The cloud does not serve the region.
    RegionUnsupported true
        "Delete the object and create it in another region."
        "Nothing: no machine was bought.",
    /// Another `PaiInstance` has the same domain and region.
    DomainConflict true
        "Delete one of the two, or give it another domain."
        "Nothing: the second object buys nothing.",
    /// Somebody else's machine has the domain.
    DomainTaken true
        "Adopt that machine with the command in the message, or choose another domain."
        "Nothing: no machine was bought.",
    /// A machine exists without its domain.
    DomainNotBound true
        "Ask the cloud to bind it, or delete the object and start anew."
        "The price of the machine, which is of no use without its domain.",
    /// Several machines match.
    AmbiguousInstances true
        "Say which one is meant with the command in the message, and end the others in the console."
        "The price of each machine that exists; nothing is bought until a person decides.",
    /// A second machine appeared after the object had given up on it.
    DuplicateFound true
        "Keep it or end it with the commands in the message."
        "The price of both machines until one is ended.",
    /// The cloud failed to launch the machine, or it is broken.
    InstanceFailed true
        "Recreate it with the command in the message, or delete the object."
        "A machine that failed to launch is not billed; a broken one may be.",
    /// The machine was destroyed outside of Kubernetes.
    ExternallyDeleted true
        "Recreate it with the command in the message, or delete the object."
        "Nothing: the machine is gone. A new one is never bought by itself.",
    /// The machine is protected against termination.
    DeleteProtected true
        "Lift the protection in the console, or keep the machine with `deletionPolicy: Retain`."
        "The machine is billed on.",
    /// The cloud does not take the machine back.
    NotReturnable true
        "Wait until its term ends, or let the object go with `deletionPolicy: Retain`."
        "The prepaid term is paid already; a renewal would cost again, so switch it off in the console.",
}
