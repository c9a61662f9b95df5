//! What a create sends beyond the spec: the start script and the password, from their references. Reads by `get` alone.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use secrecy::{ExposeSecret, SecretString};

use super::Context;
use super::observe::Observe;
use super::problem::Problem;
use crate::api::{KeyRef, PaiInstance, Reason};
use crate::tencent::CreatePaiInstance;

/// Longest start script before base64, in bytes. Source: the vendor's SDK for UserData; the page states none.
pub const SCRIPT_LIMIT: usize = 16 * 1024;

/// What a create sends beyond the spec.
#[derive(Clone, Debug, Default)]
pub struct CreateInputs {
    /// The start script in base64.
    pub init_script: Option<SecretString>,
    /// The login password.
    pub password: Option<SecretString>,
}

/// A read that the API server refused for a reason that a person can mend.
pub enum Denied {
    /// There is no such object.
    NotFound,
    /// RBAC does not let us.
    Forbidden {
        /// Our service account as `namespace:name`.
        service_account: String,
    },
}

/// Whether a failed read is one that a person can mend.
pub fn denied(error: &kube::Error) -> Option<Denied> {
    let kube::Error::Api(status) = error else { return None };
    match status.code {
        404 => Some(Denied::NotFound),
        403 => Some(Denied::Forbidden { service_account: service_account(&status.message) }),
        _ => None,
    }
}

/// The command by which the owner of a namespace lets the operator read one object. `resource` is `secrets` or `configmaps`.
pub fn how_to_allow(service_account: &str, resource: &str, namespace: &str, name: &str) -> String {
    format!(
        "kubectl create role pai-read-{name}-{resource} -n {namespace} --verb=get --resource={resource} --resource-name={name} && \
         kubectl create rolebinding pai-read-{name}-{resource} -n {namespace} --role=pai-read-{name}-{resource} --serviceaccount={service_account}"
    )
}

/// Our own service account as `namespace:name`, from the API server's words "User \"system:serviceaccount:…\"".
fn service_account(message: &str) -> String {
    let account = message.split("system:serviceaccount:").nth(1).and_then(|rest| rest.split('"').next());
    account.filter(|text| text.split(':').count() == 2).unwrap_or("NAMESPACE:SERVICE_ACCOUNT").to_owned()
}

/// The start script and the password, or why there are none; and the versions of what was read.
pub async fn create_inputs(
    context: &Context,
    object: &PaiInstance,
) -> Result<(Result<CreateInputs, Problem>, Vec<String>), Observe> {
    let mut versions = Vec::new();
    let mut inputs = CreateInputs::default();
    if let Some(script) = &object.spec.init_script {
        let text = if let Some(inline) = &script.inline {
            Ok(SecretString::from(inline.clone()))
        } else if let Some(reference) = &script.config_map_key_ref {
            read(context, object, Source::ConfigMap, reference, "spec.initScript.configMapKeyRef", &mut versions)
                .await?
        } else if let Some(reference) = &script.secret_key_ref {
            read(context, object, Source::Secret, reference, "spec.initScript.secretKeyRef", &mut versions).await?
        } else {
            Err(Problem::new(
                Reason::InvalidSpec,
                "spec.initScript names no script: set inline, configMapKeyRef or secretKeyRef.",
            ))
        };
        match text.and_then(|text| encoded_script(&text)) {
            Ok(encoded) => inputs.init_script = Some(encoded),
            Err(problem) => return Ok((Err(problem), versions)),
        }
    }
    if let Some(reference) = object.spec.login_settings.as_ref().and_then(|login| login.password_secret_ref.as_ref()) {
        let field = "spec.loginSettings.passwordSecretRef";
        match read(context, object, Source::Secret, reference, field, &mut versions)
            .await?
            .and_then(|text| password(object.metadata.namespace.as_deref().unwrap_or_default(), reference, text))
        {
            Ok(text) => inputs.password = Some(text),
            Err(problem) => return Ok((Err(problem), versions)),
        }
    }
    Ok((Ok(inputs), versions))
}

fn encoded_script(text: &SecretString) -> Result<SecretString, Problem> {
    let length = text.expose_secret().len();
    if length == 0 {
        return Err(Problem::new(
            Reason::ReferenceNotFound,
            "The start script that spec.initScript names is empty: nothing was sent. Fill it or leave spec.initScript out.",
        ));
    }
    if length > SCRIPT_LIMIT {
        return Err(Problem::new(
            Reason::InvalidSpec,
            format!(
                "The start script that spec.initScript names has {length} bytes, the cloud takes {SCRIPT_LIMIT}: nothing was sent. Shorten it, or let it download the rest."
            ),
        ));
    }
    Ok(CreatePaiInstance::encode_script(text.expose_secret()))
}

/// The command that mends a Secret or ConfigMap in place. It costs nothing; with it mended the machine is bought.
fn how_to_mend(kind: &str, namespace: &str, name: &str) -> String {
    format!("kubectl edit {} {name} -n {namespace}", kind.to_lowercase())
}

/// A password as it is sent. A line break at its end is a slip of `echo`, and nobody could type it at a login.
fn password(namespace: &str, reference: &KeyRef, text: SecretString) -> Result<SecretString, Problem> {
    let fault = if text.expose_secret().is_empty() {
        "is empty"
    } else if text.expose_secret().chars().any(char::is_control) {
        "holds a line break or another control character (write it with printf or --from-literal, not echo)"
    } else {
        return Ok(text);
    };
    Err(Problem::new(
        Reason::ReferenceNotFound,
        format!(
            "The password in the key {} of the Secret {} {fault}: nothing was sent. Mend it, it is looked at again every minute: {}",
            reference.key,
            reference.name,
            how_to_mend("secret", namespace, &reference.name)
        ),
    ))
}

#[derive(Clone, Copy)]
enum Source {
    ConfigMap,
    Secret,
}

impl Source {
    fn kind(self) -> (&'static str, &'static str) {
        match self {
            Self::ConfigMap => ("ConfigMap", "configmaps"),
            Self::Secret => ("Secret", "secrets"),
        }
    }

    /// The word after `kubectl create`.
    fn noun(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret generic",
        }
    }
}

/// The text at a reference, or why there is none.
async fn read(
    context: &Context,
    object: &PaiInstance,
    source: Source,
    reference: &KeyRef,
    field: &str,
    versions: &mut Vec<String>,
) -> Result<Result<SecretString, Problem>, Observe> {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let (kind, resource) = source.kind();
    let KeyRef { name, key } = reference;
    let found = match source {
        Source::ConfigMap => Api::<ConfigMap>::namespaced(context.api.clone(), namespace).get(name).await.map(|map| {
            versions.extend(map.metadata.resource_version);
            let text = map.data.and_then(|mut data| data.remove(key)).map(String::into_bytes);
            text.or_else(|| map.binary_data.and_then(|mut data| data.remove(key)).map(|bytes| bytes.0))
        }),
        Source::Secret => Api::<Secret>::namespaced(context.api.clone(), namespace).get(name).await.map(|secret| {
            versions.extend(secret.metadata.resource_version);
            secret.data.and_then(|mut data| data.remove(key)).map(|bytes| bytes.0)
        }),
    };
    let problem = match found {
        Ok(Some(bytes)) => {
            return Ok(String::from_utf8(bytes).map(SecretString::from).map_err(|_| {
                Problem::new(Reason::ReferenceNotFound, format!("The key {key} of the {kind} {namespace}/{name} ({field}) is not UTF-8 text: nothing was sent. Mend it: {}", how_to_mend(kind, namespace, name)))
            }));
        }
        Ok(None) => Problem::new(
            Reason::ReferenceNotFound,
            format!(
                "The {kind} {namespace}/{name} has no key {key} ({field}): nothing was sent. Add it, it is looked at again every minute: {}",
                how_to_mend(kind, namespace, name)
            ),
        ),
        Err(error) => match denied(&error) {
            Some(Denied::NotFound) => Problem::new(
                Reason::ReferenceNotFound,
                format!(
                    "There is no {kind} {namespace}/{name} ({field}): nothing was sent. Create it, it is looked at again every minute: \
                     kubectl create {} {name} -n {namespace} --from-file={key}=FILE",
                    source.noun()
                ),
            ),
            Some(Denied::Forbidden { service_account }) => Problem::new(
                Reason::ReferenceForbidden,
                format!(
                    "The operator may not read the {kind} {namespace}/{name} ({field}); nothing was sent. Allow it: {}",
                    how_to_allow(&service_account, resource, namespace, name)
                ),
            ),
            None => return Err(Observe::ReadReference(Box::new(error))),
        },
    };
    Ok(Err(problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_account_is_read_from_the_refusal() {
        let message = r#"secrets "x" is forbidden: User "system:serviceaccount:pai-system:pai-operator" cannot get resource "secrets""#;
        assert_eq!(service_account(message), "pai-system:pai-operator");
        assert!(service_account("secrets is forbidden: User \"jane\"").starts_with("NAMESPACE:"));
    }

    #[test]
    fn scripts_are_encoded_and_bounded() {
        let encoded = encoded_script(&SecretString::from("#!/bin/bash\necho \"hello\"\n")).unwrap();
        assert_eq!(encoded.expose_secret(), "IyEvYmluL2Jhc2gKZWNobyAiaGVsbG8iCg==");
        assert!(encoded_script(&SecretString::from("x".repeat(SCRIPT_LIMIT))).is_ok());
        let problem = encoded_script(&SecretString::from("x".repeat(SCRIPT_LIMIT + 1))).unwrap_err();
        assert_eq!(problem.reason, Reason::InvalidSpec);
    }

    #[test]
    fn a_password_with_a_line_break_is_refused() {
        let reference = KeyRef { name: "s".to_owned(), key: "password".to_owned() };
        let problem = password("default", &reference, SecretString::from("PAI@Test123\n")).unwrap_err();
        assert!(problem.message.contains("line break"), "{}", problem.message);
        assert!(!problem.message.contains("PAI@Test123"));
    }
}
