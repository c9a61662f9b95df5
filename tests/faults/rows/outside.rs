//! What goes on in the account beside the operator: machines that somebody else buys.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use pai_operator::tencent::{
    Account, Client, CreatePaiInstance, Credentials, Endpoints, HttpRequest, HttpResponse, InternetAccessible, Region,
    Transport, TransportFailure,
};
use tencentcloud_simulator::HttpRequest as CloudRequest;

use crate::person::{SECRET_ID, SECRET_KEY};
use crate::world::World;

/// A way to the cloud that nothing disturbs.
struct Undisturbed(Arc<World>);

impl Transport for Undisturbed {
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpResponse, TransportFailure>> {
        let headers = request.headers.iter();
        let sent = CloudRequest {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            query: String::new(),
            headers: headers.map(|(name, value)| ((*name).to_owned(), value.expose().to_owned())).collect(),
            body: request.body.to_vec(),
        };
        let (now, world) = (self.0.now(), &self.0);
        let handling = world.state().cloud.handle(&sent, now);
        world.audit();
        let response =
            HttpResponse { status: handling.response.status, date: None, body: handling.response.body.into() };
        async move { Ok(response) }.boxed()
    }
}

/// Somebody else buys a machine in the account of the operator.
pub async fn buy(world: &Arc<World>, domain: &str, name: &str) -> String {
    let endpoints = Endpoints::new("tencentcloudapi.com", &[], false).unwrap();
    let client = Client::new(Arc::new(Undisturbed(Arc::clone(world))), endpoints);
    let account = Account {
        credentials: Credentials::new(SECRET_ID, SECRET_KEY.into(), None).unwrap(),
        region: Region::parse("ap-guangzhou").unwrap(),
    };
    let request = CreatePaiInstance {
        domain_name: domain.to_owned(),
        internet_accessible: InternetAccessible::default(),
        init_script: None,
        zones: Vec::new(),
        vpc_id: None,
        subnet_ids: Vec::new(),
        instance_name: Some(name.to_owned()),
        instance_types: Vec::new(),
        login_settings: None,
        system_disk: None,
        instance_charge_type: None,
        instance_charge_prepaid: None,
    };
    let signed = client.prepare_create(&account, &request, world.now()).unwrap();
    let reply = client.send_create(signed).await.unwrap();
    reply.value.instance_ids[0].to_string()
}
