//! Machines put into the cloud from outside, many at once: a cloud that has been in use for long, without the time
//! that buying takes. Only for the admin pages.

use super::Cloud;
use super::create::from_parameters;
use super::instance::Instance;
use super::listing::well_formed;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

impl Cloud {
    /// Adds running machines, in this order. Each names `InstanceId`, `Region` and `account` (the secret id of a key that
    /// is known), and may name `Zone` and whatever else can be set from outside, in the form in which the pages show it.
    /// What is not named is as after a purchase with the least parameters.
    ///
    /// # Errors
    /// What is wrong with the first machine that cannot be; none is added then.
    pub fn stock(&mut self, machines: &[Map<String, Value>]) -> Result<(), String> {
        let mut stocked = Vec::with_capacity(machines.len());
        let mut ids = BTreeSet::new();
        for (ordinal, fields) in (self.next_ordinal..).zip(machines) {
            let machine = self.machine(fields, ordinal)?;
            if self.ordinals.contains_key(&machine.id) || !ids.insert(machine.id.clone()) {
                return Err(format!("{} exists", machine.id));
            }
            stocked.push((ordinal, machine));
        }
        for (ordinal, mut machine) in stocked {
            machine.uuid = self.uuid();
            self.next_ordinal += 1;
            self.history.created += 1;
            self.ordinals.insert(machine.id.clone(), ordinal);
            self.instances.insert(ordinal, machine);
            self.entered(ordinal);
        }
        Ok(())
    }

    fn machine(&self, fields: &Map<String, Value>, ordinal: u64) -> Result<Instance, String> {
        let text = |name: &str| {
            let text = fields.get(name).and_then(Value::as_str);
            text.ok_or_else(|| format!("{name} is missing or no text"))
        };
        let (id, account) = (text("InstanceId")?, text("account")?);
        if !well_formed(id) {
            return Err(format!("{id} is not ins- and eight lower-case letters or digits"));
        }
        let known = self.config.accounts.iter().find(|known| known.secret_id == account);
        let mut machine = from_parameters(&Map::new(), text("Region")?, ordinal, self.time);
        id.clone_into(&mut machine.id);
        let known = known.ok_or_else(|| format!("the account {account} is not known"))?;
        machine.owner.clone_from(&known.owner);
        "RUNNING".clone_into(&mut machine.state);
        machine.operate("RunInstances", "SUCCESS");
        if fields.contains_key("Zone") {
            text("Zone")?.clone_into(&mut machine.zone);
        }
        let told = ["InstanceId", "Region", "account", "Zone"];
        for (name, value) in fields.iter().filter(|(name, _)| !told.contains(&name.as_str())) {
            machine.set_field(name, value)?;
        }
        Ok(machine)
    }
}
