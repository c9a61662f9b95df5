//! A connection to the API server that the tests of this file share, and its answers in the form of the tables.
//! Installs the CRD once. Must not judge an answer: the rows do.

use std::sync::OnceLock;
use std::time::Duration;

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::ApiResource;
use kube::{Client, Config};
use pai_harness::ControlPlane;
use pai_operator::api::{PaiInstance, crd};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

static INSTALLED: OnceLock<()> = OnceLock::new();

/// What the server said to one request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Done, or it would have been: the object as the server gave it back.
    Accepted(Value),
    /// Refused: the fields at fault, each with the message.
    Refused(Vec<(String, String)>),
}

/// The server, with blocking calls so that a table reads from top to bottom.
pub struct Server {
    runtime: Runtime,
    api: Api<DynamicObject>,
    plane: &'static ControlPlane,
}

impl Server {
    /// Connects, after the first caller has started the server and installed the CRD.
    pub fn connect() -> Self {
        Self::connect_to(&ApiResource::erase::<PaiInstance>(&()))
    }

    /// The same for another kind.
    pub fn connect_to(resource: &ApiResource) -> Self {
        let plane = ControlPlane::shared().unwrap();
        INSTALLED.get_or_init(|| install(plane));
        // kube and reqwest both use rustls, which wants to be told its provider; only the first call counts.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let file = Kubeconfig::read_from(plane.kubeconfig()).unwrap();
            let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
            config.read_timeout = Some(Duration::from_mins(1));
            config.default_retry = false;
            Client::try_from(config).unwrap()
        });
        let api = Api::namespaced_with(client, "default", resource);
        Self { runtime, api, plane }
    }

    /// The control plane, for kubectl.
    pub fn plane(&self) -> &'static ControlPlane {
        self.plane
    }

    /// What a create would be answered; nothing is stored.
    pub fn try_create(&self, object: &Value) -> Answer {
        let parameters = PostParams { dry_run: true, ..PostParams::default() };
        self.answer(self.api.create(&parameters, &object_of(object)))
    }

    /// Creates for good.
    pub fn create(&self, object: &Value) -> Value {
        let answer = self.answer(self.api.create(&PostParams::default(), &object_of(object)));
        accepted(answer)
    }

    /// What a merge patch would be answered; nothing is stored.
    pub fn try_patch(&self, name: &str, patch: &Value) -> Answer {
        self.answer(self.api.patch(name, &dry_run(), &Patch::Merge(patch)))
    }

    /// Merges for good.
    pub fn patch(&self, name: &str, patch: &Value) -> Value {
        let patch = Patch::Merge(patch);
        accepted(self.answer(self.api.patch(name, &PatchParams::default(), &patch)))
    }

    /// What a merge patch of the status would be answered; nothing is stored.
    pub fn try_status(&self, name: &str, status: &Value) -> Answer {
        let patch = json!({ "status": status });
        self.answer(self.api.patch_status(name, &dry_run(), &Patch::Merge(&patch)))
    }

    /// Writes the status for good, as the operator does: through the subresource.
    pub fn set_status(&self, name: &str, status: &Value) -> Value {
        let patch = json!({ "status": status });
        let parameters = PatchParams::default();
        accepted(self.answer(self.api.patch_status(name, &parameters, &Patch::Merge(&patch))))
    }

    /// The object as it is stored.
    pub fn get(&self, name: &str) -> Value {
        accepted(self.answer(self.api.get(name)))
    }

    /// What a deletion would be answered; nothing is deleted.
    pub fn try_delete(&self, name: &str) -> Answer {
        let parameters = DeleteParams { dry_run: true, ..DeleteParams::default() };
        let call = async {
            let either = self.api.delete(name, &parameters).await?;
            Ok(either.left().unwrap_or_else(|| DynamicObject::new(name, &ApiResource::erase::<PaiInstance>(&()))))
        };
        self.answer(call)
    }

    fn answer(&self, call: impl Future<Output = kube::Result<DynamicObject>>) -> Answer {
        match self.runtime.block_on(call) {
            Ok(object) => Answer::Accepted(serde_json::to_value(object).unwrap()),
            Err(kube::Error::Api(status)) if status.details.is_some() => {
                let causes = status.details.unwrap().causes;
                assert!(!causes.is_empty(), "refused without a cause: {}", status.message);
                Answer::Refused(
                    causes
                        .into_iter()
                        .filter(|cause| !cause.message.contains(NOT_ALL_CHECKED))
                        .map(|cause| (cause.field, cause.message))
                        .collect(),
                )
            }
            Err(error) => panic!("no answer: {error:?}"),
        }
    }
}

/// The server's own remark beside an error of shape, which keeps it from running the rules: no fault of the object.
const NOT_ALL_CHECKED: &str = "some validation rules were not checked because the object was invalid";

fn dry_run() -> PatchParams {
    PatchParams { dry_run: true, ..PatchParams::default() }
}

fn object_of(value: &Value) -> DynamicObject {
    serde_json::from_value(value.clone()).unwrap()
}

fn accepted(answer: Answer) -> Value {
    match answer {
        Answer::Accepted(object) => object,
        Answer::Refused(causes) => panic!("refused: {causes:#?}"),
    }
}

fn install(plane: &ControlPlane) {
    plane.apply(&crd::yaml().unwrap()).ok().unwrap();
    plane.wait_for_crd(crd::CRD_NAME).unwrap();
    let found = plane.get(&["crd", crd::CRD_NAME]).unwrap();
    let conditions = found["status"]["conditions"].as_array().unwrap();
    let complaint = |condition: &&Value| condition["type"] == "NonStructuralSchema" && condition["status"] == "True";
    assert!(!conditions.iter().any(|condition| complaint(&condition)), "{conditions:#?}");
}
