//! Rows for the required fields, for types, and for region, domain name and credentials.

use crate::row::{Row, rows};

/// All rows of this file.
pub fn rows() -> Vec<Row> {
    [missing(), types(), nulls(), region(), domain_name(), domain_length(), credentials()]
        .into_iter()
        .flatten()
        .collect()
}

fn missing() -> Vec<Row> {
    rows! {
        "the smallest object": => ok;
        "region missing": "-region" = () => ("spec.region" "Required value");
        "credentialsRef missing": "-credentialsRef" = () => ("spec.credentialsRef" "Required value");
        "credentialsRef empty": "credentialsRef" = {} => ("spec.credentialsRef.name" "Required value");
        "domainName missing": "-domainName" = () => ("spec.domainName" "Required value");
        "internetAccessible missing": "-internetAccessible" = () => ("spec.internetAccessible" "Required value");
        "all required fields missing":
            "-region" = (), "-credentialsRef" = (), "-domainName" = (), "-internetAccessible" = ()
            => ("spec.region" "Required value"), ("spec.credentialsRef" "Required value"),
               ("spec.domainName" "Required value"), ("spec.internetAccessible" "Required value");
    }
}

fn types() -> Vec<Row> {
    rows! {
        "region a number": "region" = 5 => ("spec.region" "must be of type string");
        "credentialsRef a string": "credentialsRef" = "cloud" => ("spec.credentialsRef" "must be of type object");
        "credentialsRef.name a number": "credentialsRef.name" = 5 => ("spec.credentialsRef.name" "must be of type string");
        "domainName a list": "domainName" = ["a.b"] => ("spec.domainName" "must be of type string");
        "internetAccessible true": "internetAccessible" = true => ("spec.internetAccessible" "must be of type object");
        "internetChargeType a number":
            "internetAccessible.internetChargeType" = 1
            => ("spec.internetAccessible.internetChargeType" "must be of type string"),
               ("spec.internetAccessible.internetChargeType" "Unsupported value");
        "bandwidth a string":
            "internetAccessible.internetMaxBandwidthOut" = "10"
            => ("spec.internetAccessible.internetMaxBandwidthOut" "must be of type integer");
        "bandwidth a fraction":
            "internetAccessible.internetMaxBandwidthOut" = 1.5
            => ("spec.internetAccessible.internetMaxBandwidthOut" "must be of type int64"),
               ("<nil>" "must be of type integer with format int64 in spec.internetAccessible.internetMaxBandwidthOut");
        "publicIpAssigned a string":
            "internetAccessible.publicIpAssigned" = "true"
            => ("spec.internetAccessible.publicIpAssigned" "must be of type boolean");
        "initScript a string": "initScript" = "#!/bin/sh" => ("spec.initScript" "must be of type object");
        "zones a string": "zones" = "ap-guangzhou-2" => ("spec.zones" "must be of type array");
        "an entry of zones a number": "zones" = [2] => ("spec.zones[0]" "must be of type string");
        "vpcId a number": "vpcId" = 5 => ("spec.vpcId" "must be of type string");
        "subnetIds a string": "subnetIds" = "subnet-1" => ("spec.subnetIds" "must be of type array");
        "instanceName a number": "instanceName" = 5 => ("spec.instanceName" "must be of type string");
        "instanceTypes an object": "instanceTypes" = {} => ("spec.instanceTypes" "must be of type array");
        "systemDisk a string": "systemDisk" = "CLOUD_SSD" => ("spec.systemDisk" "must be of type object");
        "diskSize a string": "systemDisk" = {"diskSize": "50"} => ("spec.systemDisk.diskSize" "must be of type integer");
        "loginSettings a list": "loginSettings" = [] => ("spec.loginSettings" "must be of type object");
        "keyIds a string": "loginSettings" = {"keyIds": "skey-1"} => ("spec.loginSettings.keyIds" "must be of type array");
        "keepImageLogin a string":
            "loginSettings" = {"keepImageLogin": "true"} => ("spec.loginSettings.keepImageLogin" "must be of type boolean");
        "instanceChargeType a number":
            "instanceChargeType" = 1
            => ("spec.instanceChargeType" "must be of type string"), ("spec.instanceChargeType" "Unsupported value");
        "period a string":
            "instanceChargeType" = "PREPAID", "instanceChargePrepaid" = {"period": "1"}
            => ("spec.instanceChargePrepaid.period" "must be of type integer");
        "deletionPolicy a boolean":
            "deletionPolicy" = true
            => ("spec.deletionPolicy" "must be of type string"), ("spec.deletionPolicy" "Unsupported value");
    }
}

/// A null in an optional field is dropped; that has a test of its own.
fn nulls() -> Vec<Row> {
    rows! {
        "region null": "region" = null => ("spec.region" "Required value");
        "credentialsRef null": "credentialsRef" = null => ("spec.credentialsRef" "Required value");
        "credentialsRef.name null": "credentialsRef.name" = null => ("spec.credentialsRef.name" "Required value");
        "domainName null": "domainName" = null => ("spec.domainName" "Required value");
        "internetAccessible null": "internetAccessible" = null => ("spec.internetAccessible" "Required value");
        "an entry of zones null": "zones" = [null] => ("spec.zones[0]" "must be of type string");
        "an entry of instanceTypes null":
            "instanceTypes" = ["S4.SMALL2", null] => ("spec.instanceTypes[1]" "must be of type string");
        "initScript with a null alone":
            "initScript" = {"inline": null} => ("spec.initScript" "must have exactly one of inline, configMapKeyRef and secretKeyRef");
        "initScript with nulls beside the one": "initScript" = {"inline": "a", "configMapKeyRef": null, "secretKeyRef": null} => ok;
        "loginSettings with a null alone":
            "loginSettings" = {"keyIds": null} => ("spec.loginSettings" "must have exactly one of");
        "loginSettings with nulls beside the one":
            "loginSettings" = {"passwordSecretRef": null, "keyIds": null, "keepImageLogin": true} => ok;
        "systemDisk with nulls alone":
            "systemDisk" = {"diskType": null, "diskSize": null} => ("spec.systemDisk" "must set diskType or diskSize");
        "period null":
            "instanceChargeType" = "PREPAID", "instanceChargePrepaid" = {"period": null}
            => ("spec.instanceChargePrepaid.period" "Required value");
    }
}

fn region() -> Vec<Row> {
    rows! {
        "region financial": "region" = "ap-shanghai-fsi" => ok;
        "region of test accounts": "region" = "ap-guangzhou-open" => ok;
        "region in America": "region" = "na-siliconvalley" => ok;
        "region of 40 characters": "region" = (format!("ap-{}-{}", "a".repeat(20), "b".repeat(16))) => ok;
        "region of 41 characters": "region" = (format!("ap-{}-{}", "a".repeat(20), "b".repeat(17))) => ("spec.region" "may not be more than 40");
        "region empty": "region" = "" => ("spec.region" "should be at least 4 chars long");
        "region upper-case": "region" = "AP-GUANGZHOU" => ("spec.region" "should match");
        "region capitalised": "region" = "Ap-guangzhou" => ("spec.region" "should match");
        "region with a slash": "region" = "ap-guangzhou/x" => ("spec.region" "should match");
        "region with a dot": "region" = "ap-guangzhou.example" => ("spec.region" "should match");
        "region with a colon": "region" = "ap-guangzhou:80" => ("spec.region" "should match");
        "region with an at sign": "region" = "ap-guangzhou@x" => ("spec.region" "should match");
        "region with an underscore": "region" = "ap_guangzhou" => ("spec.region" "should match");
        "region with a blank behind": "region" = "ap-guangzhou " => ("spec.region" "should match");
        "region with a line end behind": "region" = "ap-guangzhou\n" => ("spec.region" "should match");
        "region with a hyphen behind": "region" = "ap-guangzhou-" => ("spec.region" "should match");
        "region with a hyphen in front": "region" = "-guangzhou" => ("spec.region" "should match");
        "region of one word": "region" = "guangzhou" => ("spec.region" "should match");
        "region with a letter beyond ASCII": "region" = "ap-guangzhoü" => ("spec.region" "should match");
    }
}

fn domain_name() -> Vec<Row> {
    rows! {
        "domainName of the API page": "domainName" = "apple-gz012345.pai.tcloudbase.com" => ok;
        "domainName of two labels": "domainName" = "a.b" => ok;
        "domainName with digits in front": "domainName" = "1.example.com" => ok;
        "domainName in punycode": "domainName" = "xn--fiq228c.example.com" => ok;
        "domainName empty":
            "domainName" = "" => ("spec.domainName" "should be at least 3 chars long");
        "domainName upper-case": "domainName" = "Apple.pai.tcloudbase.com" => ("spec.domainName" "should match");
        "domainName with a dot at the end": "domainName" = "apple.pai.tcloudbase.com." => ("spec.domainName" "should match");
        "domainName with a dot in front": "domainName" = ".apple.com" => ("spec.domainName" "should match");
        "domainName with an empty label": "domainName" = "apple..com" => ("spec.domainName" "should match");
        "domainName of one label": "domainName" = "apple" => ("spec.domainName" "should match");
        "domainName with an underscore": "domainName" = "my_apple.example.com" => ("spec.domainName" "should match");
        "domainName with a label that begins with a hyphen": "domainName" = "-a.example.com" => ("spec.domainName" "should match");
        "domainName with a label that ends with a hyphen": "domainName" = "a-.example.com" => ("spec.domainName" "should match");
        "domainName with a blank": "domainName" = "my apple.com" => ("spec.domainName" "should match");
        "domainName with a line end behind": "domainName" = "apple.example.com\n" => ("spec.domainName" "should match");
        "domainName a wildcard": "domainName" = "*.example.com" => ("spec.domainName" "should match");
        "domainName with a port": "domainName" = "apple.example.com:80" => ("spec.domainName" "should match");
        "domainName a URL": "domainName" = "https://apple.example.com" => ("spec.domainName" "should match");
        "domainName beyond ASCII": "domainName" = "äpfel.example.com" => ("spec.domainName" "should match");
    }
}

fn domain_length() -> Vec<Row> {
    let label = "a".repeat(63);
    let three = format!("{label}.{label}.{label}");
    rows! {
        "domainName with a label of 63": "domainName" = (format!("{label}.com")) => ok;
        "domainName with a label of 64": "domainName" = (format!("{label}a.com")) => ("spec.domainName" "should match");
        "domainName with a last label of 64": "domainName" = (format!("apple.{label}a")) => ("spec.domainName" "should match");
        "domainName of 253": "domainName" = (format!("{three}.{}", "a".repeat(61))) => ok;
        "domainName of 254": "domainName" = (format!("{three}.{}", "a".repeat(62))) => ("spec.domainName" "may not be more than 253");
    }
}

fn credentials() -> Vec<Row> {
    rows! {
        "credentialsRef.name with dots": "credentialsRef.name" = "team-a.cloud.1" => ok;
        "credentialsRef.name of 253": "credentialsRef.name" = ("a".repeat(253)) => ok;
        "credentialsRef.name of 254":
            "credentialsRef.name" = ("a".repeat(254)) => ("spec.credentialsRef.name" "may not be more than 253");
        "credentialsRef.name empty":
            "credentialsRef.name" = ""
            => ("spec.credentialsRef.name" "should be at least 1 chars long");
        "credentialsRef.name upper-case": "credentialsRef.name" = "Cloud" => ("spec.credentialsRef.name" "should match");
        "credentialsRef.name with a slash": "credentialsRef.name" = "other/cloud" => ("spec.credentialsRef.name" "should match");
        "credentialsRef.name that climbs": "credentialsRef.name" = "../cloud" => ("spec.credentialsRef.name" "should match");
        "credentialsRef.name with an underscore": "credentialsRef.name" = "my_cloud" => ("spec.credentialsRef.name" "should match");
        "credentialsRef.name with a blank": "credentialsRef.name" = "cloud " => ("spec.credentialsRef.name" "should match");
        "credentialsRef.name with a dot at the end": "credentialsRef.name" = "cloud." => ("spec.credentialsRef.name" "should match");
        "credentialsRef.name with a question mark":
            "credentialsRef.name" = "cloud?watch=1" => ("spec.credentialsRef.name" "should match");
    }
}
