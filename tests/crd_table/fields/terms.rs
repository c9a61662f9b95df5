//! Rows for login, payment and what a deletion does.

use crate::row::{Row, rows};

/// All rows of this file.
pub fn rows() -> Vec<Row> {
    [login(), charge_type(), prepaid(), deletion_policy()].into_iter().flatten().collect()
}

fn login() -> Vec<Row> {
    rows! {
        "loginSettings none":
            "loginSettings" = {} => ("spec.loginSettings" "must have exactly one of passwordSecretRef, keyIds and keepImageLogin");
        "loginSettings with a password": "loginSettings" = {"passwordSecretRef": {"name": "login", "key": "password"}} => ok;
        "loginSettings with a key pair": "loginSettings" = {"keyIds": ["skey-hrqqwd2f"]} => ok;
        "loginSettings of the image": "loginSettings" = {"keepImageLogin": true} => ok;
        "loginSettings with password and key pair":
            "loginSettings" = {"passwordSecretRef": {"name": "login", "key": "password"}, "keyIds": ["skey-1"]}
            => ("spec.loginSettings" "must have exactly one of passwordSecretRef, keyIds and keepImageLogin");
        "loginSettings with password and image":
            "loginSettings" = {"passwordSecretRef": {"name": "login", "key": "password"}, "keepImageLogin": true}
            => ("spec.loginSettings" "must have exactly one of");
        "loginSettings with key pair and image":
            "loginSettings" = {"keyIds": ["skey-1"], "keepImageLogin": true} => ("spec.loginSettings" "must have exactly one of");
        "loginSettings with all three":
            "loginSettings" = {"passwordSecretRef": {"name": "login", "key": "p"}, "keyIds": ["skey-1"], "keepImageLogin": true}
            => ("spec.loginSettings" "must have exactly one of");
        "keepImageLogin false":
            "loginSettings" = {"keepImageLogin": false}
            => ("spec.loginSettings.keepImageLogin" "must be true or left out");
        "keepImageLogin false beside a key pair":
            "loginSettings" = {"keyIds": ["skey-1"], "keepImageLogin": false}
            => ("spec.loginSettings" "must have exactly one of"), ("spec.loginSettings.keepImageLogin" "must be true or left out");
        "keyIds empty": "loginSettings" = {"keyIds": []} => ("spec.loginSettings.keyIds" "should have at least 1 items");
        "two keyIds":
            "loginSettings" = {"keyIds": ["skey-1", "skey-2"]} => ("spec.loginSettings.keyIds" "must have at most 1 item");
        "keyIds of another kind": "loginSettings" = {"keyIds": ["key-hrqqwd2f"]} => ("spec.loginSettings.keyIds[0]" "should match");
        "keyIds with an empty entry":
            "loginSettings" = {"keyIds": [""]}
            => ("spec.loginSettings.keyIds[0]" "should be at least 6 chars long");
        "keyIds of 38":
            "loginSettings" = {"keyIds": (vec![format!("skey-{}", "a".repeat(33))])}
            => ("spec.loginSettings.keyIds[0]" "may not be more than 37");
        "passwordSecretRef without a key":
            "loginSettings" = {"passwordSecretRef": {"name": "login"}} => ("spec.loginSettings.passwordSecretRef.key" "Required value");
        "passwordSecretRef with a name upper-case":
            "loginSettings" = {"passwordSecretRef": {"name": "Login", "key": "p"}}
            => ("spec.loginSettings.passwordSecretRef.name" "should match");
        "passwordSecretRef with a key of a path":
            "loginSettings" = {"passwordSecretRef": {"name": "login", "key": "../p"}}
            => ("spec.loginSettings.passwordSecretRef.key" "should match");
    }
}

fn charge_type() -> Vec<Row> {
    rows! {
        "instanceChargeType POSTPAID_BY_HOUR": "instanceChargeType" = "POSTPAID_BY_HOUR" => ok;
        "instanceChargeType SPOTPAID": "instanceChargeType" = "SPOTPAID" => ok;
        "instanceChargeType unknown":
            "instanceChargeType" = "FREE"
            => ("spec.instanceChargeType" "supported values: \"POSTPAID_BY_HOUR\", \"SPOTPAID\", \"PREPAID\"");
        "instanceChargeType empty": "instanceChargeType" = "" => ("spec.instanceChargeType" "Unsupported value");
        "instanceChargeType lower-case": "instanceChargeType" = "prepaid" => ("spec.instanceChargeType" "Unsupported value");
        "PREPAID without a term":
            "instanceChargeType" = "PREPAID"
            => ("spec.instanceChargePrepaid" "must be set when instanceChargeType is PREPAID: set its period in months");
        "a term with POSTPAID_BY_HOUR":
            "instanceChargeType" = "POSTPAID_BY_HOUR", "instanceChargePrepaid" = {"period": 1}
            => ("spec.instanceChargePrepaid" "must be left out unless instanceChargeType is PREPAID");
        "a term with SPOTPAID":
            "instanceChargeType" = "SPOTPAID", "instanceChargePrepaid" = {"period": 1}
            => ("spec.instanceChargePrepaid" "must be left out unless instanceChargeType is PREPAID");
        "a term with the default charge type":
            "instanceChargePrepaid" = {"period": 1}
            => ("spec.instanceChargePrepaid" "must be left out unless instanceChargeType is PREPAID");
    }
}

fn prepaid() -> Vec<Row> {
    rows! {
        "period 1": "instanceChargeType" = "PREPAID", "instanceChargePrepaid" = {"period": 1} => ok;
        "period 12": "instanceChargeType" = "PREPAID", "instanceChargePrepaid" = {"period": 12} => ok;
        "period 24": "instanceChargeType" = "PREPAID", "instanceChargePrepaid" = {"period": 24} => ok;
        "period 36": "instanceChargeType" = "PREPAID", "instanceChargePrepaid" = {"period": 36} => ok;
        "period missing":
            "instanceChargeType" = "PREPAID", "instanceChargePrepaid" = {}
            => ("spec.instanceChargePrepaid.period" "Required value");
        "period 0":
            "instanceChargeType" = "PREPAID", "instanceChargePrepaid" = {"period": 0}
            => ("spec.instanceChargePrepaid.period" "should be greater than or equal to 1");
        "period below 0":
            "instanceChargeType" = "PREPAID", "instanceChargePrepaid" = {"period": (-1)}
            => ("spec.instanceChargePrepaid.period" "should be greater than or equal to 1");
        "period 13":
            "instanceChargeType" = "PREPAID", "instanceChargePrepaid" = {"period": 13}
            => ("spec.instanceChargePrepaid.period" "must be 1 to 12, 24 or 36 months");
        "period 23":
            "instanceChargeType" = "PREPAID", "instanceChargePrepaid" = {"period": 23}
            => ("spec.instanceChargePrepaid.period" "must be 1 to 12, 24 or 36 months");
        "period 35":
            "instanceChargeType" = "PREPAID", "instanceChargePrepaid" = {"period": 35}
            => ("spec.instanceChargePrepaid.period" "must be 1 to 12, 24 or 36 months");
        "period 37":
            "instanceChargeType" = "PREPAID", "instanceChargePrepaid" = {"period": 37}
            => ("spec.instanceChargePrepaid.period" "should be less than or equal to 36"),
               ("spec.instanceChargePrepaid.period" "must be 1 to 12, 24 or 36 months");
        "renewFlag NOTIFY_AND_AUTO_RENEW":
            "instanceChargeType" = "PREPAID", "instanceChargePrepaid" = {"period": 1, "renewFlag": "NOTIFY_AND_AUTO_RENEW"} => ok;
        "renewFlag DISABLE_NOTIFY_AND_MANUAL_RENEW":
            "instanceChargeType" = "PREPAID",
            "instanceChargePrepaid" = {"period": 1, "renewFlag": "DISABLE_NOTIFY_AND_MANUAL_RENEW"} => ok;
        "renewFlag unknown":
            "instanceChargeType" = "PREPAID", "instanceChargePrepaid" = {"period": 1, "renewFlag": "ALWAYS"}
            => ("spec.instanceChargePrepaid.renewFlag" "Unsupported value: \"ALWAYS\"");
    }
}

fn deletion_policy() -> Vec<Row> {
    rows! {
        "deletionPolicy Delete": "deletionPolicy" = "Delete" => ok;
        "deletionPolicy Retain": "deletionPolicy" = "Retain" => ok;
        "deletionPolicy unknown":
            "deletionPolicy" = "Orphan" => ("spec.deletionPolicy" "Unsupported value: \"Orphan\": supported values: \"Delete\", \"Retain\"");
        "deletionPolicy lower-case": "deletionPolicy" = "retain" => ("spec.deletionPolicy" "Unsupported value");
        "deletionPolicy empty": "deletionPolicy" = "" => ("spec.deletionPolicy" "Unsupported value");
    }
}
