//! Rows for what the machine is: network, start script, places, name, types and disk.

use crate::row::{Row, rows};

/// All rows of this file.
pub fn rows() -> Vec<Row> {
    [
        internet(),
        bandwidth_package(),
        init_script(),
        inline_script(),
        references(),
        zones(),
        network(),
        instance_name(),
        instance_types(),
        system_disk(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn internet() -> Vec<Row> {
    rows! {
        "bandwidth 0": "internetAccessible.internetMaxBandwidthOut" = 0 => ok;
        "bandwidth 65535": "internetAccessible.internetMaxBandwidthOut" = 65535 => ok;
        "bandwidth 65536":
            "internetAccessible.internetMaxBandwidthOut" = 65536
            => ("spec.internetAccessible.internetMaxBandwidthOut" "should be less than or equal to 65535");
        "bandwidth below 0":
            "internetAccessible.internetMaxBandwidthOut" = (-1)
            => ("spec.internetAccessible.internetMaxBandwidthOut" "should be greater than or equal to 0");
        "public address at bandwidth 1":
            "internetAccessible" = {"internetMaxBandwidthOut": 1, "publicIpAssigned": true} => ok;
        "public address at bandwidth 0":
            "internetAccessible" = {"internetMaxBandwidthOut": 0, "publicIpAssigned": true}
            => ("spec.internetAccessible.publicIpAssigned" "must not be true at a bandwidth of 0: set internetMaxBandwidthOut to at least 1");
        "public address without a bandwidth":
            "internetAccessible" = {"publicIpAssigned": true}
            => ("spec.internetAccessible.publicIpAssigned" "must not be true at a bandwidth of 0: set internetMaxBandwidthOut to at least 1");
        "no public address at bandwidth 0":
            "internetAccessible" = {"internetMaxBandwidthOut": 0, "publicIpAssigned": false} => ok;
        "no public address in spite of a bandwidth":
            "internetAccessible" = {"internetMaxBandwidthOut": 5, "publicIpAssigned": false} => ok;
        "internetChargeType BANDWIDTH_PREPAID": "internetAccessible.internetChargeType" = "BANDWIDTH_PREPAID" => ok;
        "internetChargeType TRAFFIC_POSTPAID_BY_HOUR": "internetAccessible.internetChargeType" = "TRAFFIC_POSTPAID_BY_HOUR" => ok;
        "internetChargeType BANDWIDTH_POSTPAID_BY_HOUR":
            "internetAccessible.internetChargeType" = "BANDWIDTH_POSTPAID_BY_HOUR" => ok;
        "internetChargeType unknown":
            "internetAccessible.internetChargeType" = "FREE"
            => ("spec.internetAccessible.internetChargeType" "Unsupported value: \"FREE\": supported values: \"BANDWIDTH_PREPAID\"");
        "internetChargeType empty":
            "internetAccessible.internetChargeType" = ""
            => ("spec.internetAccessible.internetChargeType" "Unsupported value");
        "internetChargeType lower-case":
            "internetAccessible.internetChargeType" = "bandwidth_package"
            => ("spec.internetAccessible.internetChargeType" "Unsupported value");
    }
}

fn bandwidth_package() -> Vec<Row> {
    rows! {
        "package with BANDWIDTH_PACKAGE":
            "internetAccessible" = {"internetChargeType": "BANDWIDTH_PACKAGE", "bandwidthPackageId": "bwp-1a2b3c"} => ok;
        "BANDWIDTH_PACKAGE without a package": "internetAccessible" = {"internetChargeType": "BANDWIDTH_PACKAGE"} => ok;
        "package without a charge type":
            "internetAccessible" = {"bandwidthPackageId": "bwp-1a2b3c"}
            => ("spec.internetAccessible.bandwidthPackageId" "must be left out unless internetChargeType is BANDWIDTH_PACKAGE");
        "package with another charge type":
            "internetAccessible" = {"internetChargeType": "BANDWIDTH_PREPAID", "bandwidthPackageId": "bwp-1a2b3c"}
            => ("spec.internetAccessible.bandwidthPackageId" "must be left out unless internetChargeType is BANDWIDTH_PACKAGE");
        "package id of another kind":
            "internetAccessible" = {"internetChargeType": "BANDWIDTH_PACKAGE", "bandwidthPackageId": "vpc-1a2b3c"}
            => ("spec.internetAccessible.bandwidthPackageId" "should match");
        "package id empty":
            "internetAccessible" = {"internetChargeType": "BANDWIDTH_PACKAGE", "bandwidthPackageId": ""}
            => ("spec.internetAccessible.bandwidthPackageId" "should be at least 5 chars long");
        "package id of 37":
            "internetAccessible" = {"internetChargeType": "BANDWIDTH_PACKAGE", "bandwidthPackageId": (format!("bwp-{}", "a".repeat(33)))}
            => ("spec.internetAccessible.bandwidthPackageId" "may not be more than 36");
    }
}

fn init_script() -> Vec<Row> {
    rows! {
        "initScript none":
            "initScript" = {} => ("spec.initScript" "must have exactly one of inline, configMapKeyRef and secretKeyRef");
        "initScript inline": "initScript" = {"inline": "#!/bin/sh\necho hello\n"} => ok;
        "initScript from a ConfigMap": "initScript" = {"configMapKeyRef": {"name": "scripts", "key": "start.sh"}} => ok;
        "initScript from a Secret": "initScript" = {"secretKeyRef": {"name": "scripts", "key": "start.sh"}} => ok;
        "initScript inline and from a ConfigMap":
            "initScript" = {"inline": "a", "configMapKeyRef": {"name": "scripts", "key": "a"}}
            => ("spec.initScript" "must have exactly one of inline, configMapKeyRef and secretKeyRef");
        "initScript inline and from a Secret":
            "initScript" = {"inline": "a", "secretKeyRef": {"name": "scripts", "key": "a"}}
            => ("spec.initScript" "must have exactly one of inline, configMapKeyRef and secretKeyRef");
        "initScript from both references":
            "initScript" = {"configMapKeyRef": {"name": "scripts", "key": "a"}, "secretKeyRef": {"name": "scripts", "key": "a"}}
            => ("spec.initScript" "must have exactly one of inline, configMapKeyRef and secretKeyRef");
        "initScript all three":
            "initScript" = {"inline": "a", "configMapKeyRef": {"name": "scripts", "key": "a"}, "secretKeyRef": {"name": "s", "key": "a"}}
            => ("spec.initScript" "must have exactly one of inline, configMapKeyRef and secretKeyRef");
    }
}

fn inline_script() -> Vec<Row> {
    rows! {
        "inline empty": "initScript" = {"inline": ""} => ("spec.initScript.inline" "should be at least 1 chars long");
        "inline of 16384 bytes": "initScript" = {"inline": ("a".repeat(16384))} => ok;
        "inline of 16385 bytes":
            "initScript" = {"inline": ("a".repeat(16385))} => ("spec.initScript.inline" "may not be more than 16384");
        "inline of 16384 bytes in 5462 characters": "initScript" = {"inline": (format!("a{}", "密".repeat(5461)))} => ok;
        "inline of 16385 bytes in 5463 characters":
            "initScript" = {"inline": (format!("aa{}", "密".repeat(5461)))}
            => ("spec.initScript.inline" "must have at most 16384 bytes: download the rest in the script");
        "inline of 16384 characters in 65536 bytes":
            "initScript" = {"inline": ("🚀".repeat(16384))} => ("spec.initScript.inline" "must have at most 16384 bytes");
    }
}

fn references() -> Vec<Row> {
    rows! {
        "a reference without a key":
            "initScript" = {"configMapKeyRef": {"name": "scripts"}} => ("spec.initScript.configMapKeyRef.key" "Required value");
        "a reference without a name":
            "initScript" = {"secretKeyRef": {"key": "a"}} => ("spec.initScript.secretKeyRef.name" "Required value");
        "a reference name upper-case":
            "initScript" = {"configMapKeyRef": {"name": "Scripts", "key": "a"}}
            => ("spec.initScript.configMapKeyRef.name" "should match");
        "a reference name into another namespace":
            "initScript" = {"secretKeyRef": {"name": "other/scripts", "key": "a"}}
            => ("spec.initScript.secretKeyRef.name" "should match");
        "a reference name of 254":
            "initScript" = {"secretKeyRef": {"name": ("a".repeat(254)), "key": "a"}}
            => ("spec.initScript.secretKeyRef.name" "may not be more than 253");
        "a reference key with every allowed sign": "initScript" = {"configMapKeyRef": {"name": "s", "key": "A-z_0.sh"}} => ok;
        "a reference key with a slash":
            "initScript" = {"configMapKeyRef": {"name": "s", "key": "a/b"}} => ("spec.initScript.configMapKeyRef.key" "should match");
        "a reference key with a blank":
            "initScript" = {"secretKeyRef": {"name": "s", "key": "a b"}} => ("spec.initScript.secretKeyRef.key" "should match");
        "a reference key empty":
            "initScript" = {"secretKeyRef": {"name": "s", "key": ""}}
            => ("spec.initScript.secretKeyRef.key" "should be at least 1 chars long");
        "a reference key of 254":
            "initScript" = {"secretKeyRef": {"name": "s", "key": ("k".repeat(254))}}
            => ("spec.initScript.secretKeyRef.key" "may not be more than 253");
    }
}

fn zones() -> Vec<Row> {
    rows! {
        "zones of the region": "zones" = ["ap-guangzhou-3", "ap-guangzhou-2"] => ok;
        "zones in a financial region": "region" = "ap-shanghai-fsi", "zones" = ["ap-shanghai-fsi-1"] => ok;
        "zones empty": "zones" = [] => ("spec.zones" "should have at least 1 items");
        "zones with an empty entry":
            "zones" = [""]
            => ("spec.zones[0]" "should be at least 6 chars long"),
               ("spec.zones" "must lie in spec.region");
        "zones with an entry twice":
            "zones" = ["ap-guangzhou-2", "ap-guangzhou-3", "ap-guangzhou-2"]
            => ("spec.zones" "must not have the same entry twice: remove the second one");
        "ten zones": "zones" = (numbered("ap-guangzhou-", 10)) => ok;
        "eleven zones": "zones" = (numbered("ap-guangzhou-", 11)) => ("spec.zones" "must have at most 10 items");
        "zones of another region": "zones" = ["ap-shanghai-2"] => ("spec.zones" "must lie in spec.region");
        "the second zone of another region": "zones" = ["ap-guangzhou-2", "ap-shanghai-2"] => ("spec.zones" "must lie in spec.region");
        "zones of a region that only begins alike": "zones" = ["ap-guangzhoux-2"] => ("spec.zones" "must lie in spec.region");
        "zones of the region with a suffix": "zones" = ["ap-guangzhou-open-2"] => ("spec.zones" "must lie in spec.region");
        "zones of the financial sister":
            "region" = "ap-shanghai", "zones" = ["ap-shanghai-fsi-1"] => ("spec.zones" "must lie in spec.region");
        "the region for a zone": "zones" = ["ap-guangzhou"] => ("spec.zones[0]" "should match"), ("spec.zones" "must lie in spec.region");
        "zones upper-case":
            "zones" = ["AP-GUANGZHOU-2"] => ("spec.zones[0]" "should match"), ("spec.zones" "must lie in spec.region");
        "zones of 49": "zones" = (vec![format!("ap-guangzhou-{}", "1".repeat(36))])
            => ("spec.zones[0]" "may not be more than 48");
    }
}

fn network() -> Vec<Row> {
    rows! {
        "vpcId": "vpcId" = "vpc-2ari9m7h" => ok;
        "vpcId of another kind": "vpcId" = "subnet-2ari9m7h" => ("spec.vpcId" "should match");
        "vpcId upper-case": "vpcId" = "vpc-2ARI9M7H" => ("spec.vpcId" "should match");
        "vpcId empty": "vpcId" = "" => ("spec.vpcId" "should be at least 5 chars long");
        "vpcId of 37": "vpcId" = (format!("vpc-{}", "a".repeat(33)))
            => ("spec.vpcId" "may not be more than 36");
        "subnetIds": "subnetIds" = ["subnet-8lrfj9bp", "subnet-2"] => ok;
        "subnetIds empty": "subnetIds" = [] => ("spec.subnetIds" "should have at least 1 items");
        "subnetIds with an empty entry":
            "subnetIds" = ["subnet-1", ""]
            => ("spec.subnetIds[1]" "should be at least 8 chars long");
        "subnetIds with an entry twice":
            "subnetIds" = ["subnet-1", "subnet-1"] => ("spec.subnetIds" "must not have the same entry twice: remove the second one");
        "subnetIds of another kind": "subnetIds" = ["vpc-2ari9m7h"] => ("spec.subnetIds[0]" "should match");
        "ten subnetIds": "subnetIds" = (numbered("subnet-", 10)) => ok;
        "eleven subnetIds": "subnetIds" = (numbered("subnet-", 11)) => ("spec.subnetIds" "must have at most 10 items");
        "subnetIds of 40": "subnetIds" = (vec![format!("subnet-{}", "a".repeat(33))])
            => ("spec.subnetIds[0]" "may not be more than 39");
    }
}

fn instance_name() -> Vec<Row> {
    rows! {
        "instanceName of one letter": "instanceName" = "a" => ok;
        "instanceName with blanks inside": "instanceName" = "PAI test 1" => ok;
        "instanceName of 60 bytes": "instanceName" = ("a".repeat(60)) => ok;
        "instanceName of 61 bytes": "instanceName" = ("a".repeat(61)) => ("spec.instanceName" "may not be more than 60");
        "instanceName of 60 bytes in 20 characters": "instanceName" = ("密".repeat(20)) => ok;
        "instanceName of 61 bytes in 21 characters":
            "instanceName" = (format!("{}a", "密".repeat(20))) => ("spec.instanceName" "must have at most 60 bytes in UTF-8: shorten it");
        "instanceName of 60 bytes in 15 characters": "instanceName" = ("🚀".repeat(15)) => ok;
        "instanceName of 64 bytes in 16 characters":
            "instanceName" = ("🚀".repeat(16)) => ("spec.instanceName" "must have at most 60 bytes in UTF-8");
        "instanceName of 60 characters in 120 bytes":
            "instanceName" = ("é".repeat(60)) => ("spec.instanceName" "must have at most 60 bytes in UTF-8");
        "instanceName empty":
            "instanceName" = "" => ("spec.instanceName" "should be at least 1 chars long");
        "instanceName of a blank": "instanceName" = " " => ("spec.instanceName" "should match");
        "instanceName with a blank in front": "instanceName" = " a" => ("spec.instanceName" "should match");
        "instanceName with a blank behind": "instanceName" = "a " => ("spec.instanceName" "should match");
        "instanceName with a line end": "instanceName" = "a\nb" => ("spec.instanceName" "should match");
        "instanceName with a line end behind": "instanceName" = "a\n" => ("spec.instanceName" "should match");
        "instanceName with a tab": "instanceName" = "a\tb" => ("spec.instanceName" "should match");
        "instanceName with a zero byte": "instanceName" = "a\u{0}b" => ("spec.instanceName" "should match");
        "instanceName with a DEL": "instanceName" = "a\u{7f}b" => ("spec.instanceName" "should match");
    }
}

fn instance_types() -> Vec<Row> {
    rows! {
        "instanceTypes": "instanceTypes" = ["S5.MEDIUM4", "S4.SMALL2", "GN10Xp.2XLARGE40"] => ok;
        "instanceTypes empty": "instanceTypes" = [] => ("spec.instanceTypes" "should have at least 1 items");
        "instanceTypes with an empty entry":
            "instanceTypes" = [""]
            => ("spec.instanceTypes[0]" "should be at least 2 chars long");
        "instanceTypes with an entry twice":
            "instanceTypes" = ["S4.SMALL2", "S4.SMALL2"]
            => ("spec.instanceTypes" "must not have the same entry twice: remove the second one");
        "ten instanceTypes": "instanceTypes" = (numbered("S4.SMALL", 10)) => ok;
        "eleven instanceTypes": "instanceTypes" = (numbered("S4.SMALL", 11)) => ("spec.instanceTypes" "must have at most 10 items");
        "instanceTypes without a dot": "instanceTypes" = ["S4"] => ("spec.instanceTypes[0]" "should match");
        "instanceTypes with a blank": "instanceTypes" = ["S4 .SMALL2"] => ("spec.instanceTypes[0]" "should match");
        "two instanceTypes in one entry": "instanceTypes" = ["S4.SMALL2,S4.LARGE8"] => ("spec.instanceTypes[0]" "should match");
        "instanceTypes of 65":
            "instanceTypes" = (vec![format!("S4.{}", "A".repeat(62))]) => ("spec.instanceTypes[0]" "may not be more than 64");
    }
}

fn system_disk() -> Vec<Row> {
    rows! {
        "systemDisk of the API page": "systemDisk" = {"diskType": "CLOUD_BASIC", "diskSize": 50} => ok;
        "systemDisk with a type alone": "systemDisk" = {"diskType": "CLOUD_SSD"} => ok;
        "systemDisk with a size alone": "systemDisk" = {"diskSize": 50} => ok;
        "systemDisk empty": "systemDisk" = {} => ("spec.systemDisk" "must set diskType or diskSize: leave it out altogether");
        "diskType lower-case": "systemDisk" = {"diskType": "cloud_ssd"} => ("spec.systemDisk.diskType" "should match");
        "diskType empty":
            "systemDisk" = {"diskType": ""}
            => ("spec.systemDisk.diskType" "should be at least 1 chars long");
        "diskType of 65": "systemDisk" = {"diskType": ("A".repeat(65))} => ("spec.systemDisk.diskType" "may not be more than 64");
        "diskSize 0": "systemDisk" = {"diskSize": 0} => ("spec.systemDisk.diskSize" "should be greater than or equal to 1");
        "diskSize 32000": "systemDisk" = {"diskSize": 32000} => ok;
        "diskSize 32001": "systemDisk" = {"diskSize": 32001} => ("spec.systemDisk.diskSize" "should be less than or equal to 32000");
    }
}

fn numbered(start: &str, count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("{start}{number}")).collect()
}
