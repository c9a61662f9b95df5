//! From the spec to the parameters of CreatePaiInstance: nothing missing, nothing extra. Pure.

use super::references::CreateInputs;
use crate::api::PaiInstanceSpec;
use crate::tencent::{CreatePaiInstance, InstanceChargePrepaid, InternetAccessible, LoginSettings, SystemDisk};

/// The parameters to send. The spec is taken apart field by field, so that a new field cannot be forgotten here.
pub fn create_request(spec: &PaiInstanceSpec, instance_name: &str, inputs: &CreateInputs) -> CreatePaiInstance {
    let PaiInstanceSpec {
        region: _,
        credentials_ref: _,
        deletion_policy: _,
        init_script: _,
        instance_name: _,
        domain_name,
        internet_accessible,
        zones,
        vpc_id,
        subnet_ids,
        instance_types,
        system_disk,
        login_settings,
        instance_charge_type,
        instance_charge_prepaid,
    } = spec;
    CreatePaiInstance {
        domain_name: domain_name.clone(),
        internet_accessible: InternetAccessible {
            internet_charge_type: internet_accessible.internet_charge_type.map(|word| word.as_str().to_owned()),
            internet_max_bandwidth_out: internet_accessible.internet_max_bandwidth_out,
            public_ip_assigned: internet_accessible.public_ip_assigned,
            bandwidth_package_id: internet_accessible.bandwidth_package_id.clone(),
        },
        init_script: inputs.init_script.clone(),
        zones: zones.clone(),
        vpc_id: vpc_id.clone(),
        subnet_ids: subnet_ids.clone(),
        instance_name: Some(instance_name.to_owned()),
        instance_types: instance_types.clone(),
        login_settings: login_settings.as_ref().map(|login| LoginSettings {
            password: inputs.password.clone(),
            key_ids: login.key_ids.clone(),
            keep_image_login: login.keep_image_login,
        }),
        system_disk: system_disk
            .as_ref()
            .map(|disk| SystemDisk { disk_type: disk.disk_type.clone(), disk_size: disk.disk_size }),
        instance_charge_type: Some(instance_charge_type.as_str().to_owned()),
        instance_charge_prepaid: instance_charge_prepaid.as_ref().map(|prepaid| InstanceChargePrepaid {
            period: prepaid.period,
            renew_flag: Some(prepaid.renew_flag.as_str().to_owned()),
        }),
    }
}
