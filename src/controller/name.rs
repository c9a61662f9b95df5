//! The instance name that is sent: the user's, or a marker by which a machine is found again. Pure.

use crate::api::{NameOrigin, PaiInstance};

/// Longest instance name in bytes. Source: CVM ModifyInstancesAttribute (`InvalidInstanceName.TooLong`).
pub const NAME_LIMIT: usize = 60;

/// Bytes of the marker's readable part: what 60 bytes leave beside a hyphen and the 32 digits of the UID.
const READABLE: usize = 27;

/// The name to send and where it came from.
///
/// The marker is `<namespace>-<name>` cut to 27 bytes, a hyphen, and the 32 hex digits of the UID: the same for every
/// attempt of one object and never the same for two. Source: our choice, because the API has no client token.
pub fn instance_name(object: &PaiInstance) -> (String, NameOrigin) {
    if let Some(name) = &object.spec.instance_name {
        return (name.clone(), NameOrigin::User);
    }
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    (marker(namespace, name, uid), NameOrigin::Generated)
}

/// The marker of the object with this namespace, name and UID.
pub fn marker(namespace: &str, name: &str, uid: &str) -> String {
    let readable = format!("{namespace}-{name}");
    let readable = crate::api::conditions::cut_to_bytes(&readable, READABLE).trim_end_matches(['-', '.']);
    let digits: String = uid.chars().filter(char::is_ascii_hexdigit).take(32).collect();
    format!("{readable}-{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UID: &str = "f1aeaa6a-079f-4553-8988-a13186bf42de";

    #[test]
    fn markers() {
        let rows = [
            ("default", "web", "default-web-f1aeaa6a079f45538988a13186bf42de"),
            ("a-very-long-namespace-name", "x", "a-very-long-namespace-name-f1aeaa6a079f45538988a13186bf42de"),
            ("default", "web.example.with-a-long-name", "default-web.example.with-a-f1aeaa6a079f45538988a13186bf42de"),
        ];
        for (namespace, name, expected) in rows {
            assert_eq!(marker(namespace, name, UID), expected);
        }
    }

    proptest! {
        #[test]
        fn a_marker_fits_and_ends_with_the_uid(namespace in "[a-z0-9-]{1,63}", name in "[a-z0-9.-]{1,253}") {
            let marker = marker(&namespace, &name, UID);
            prop_assert!(marker.len() <= NAME_LIMIT);
            prop_assert!(marker.ends_with("-f1aeaa6a079f45538988a13186bf42de"));
        }
    }
}
