//! The release's life with real helm: upgrade from an older chart, rollback, uninstall, reinstall. No object and no machine is lost.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::scene::Scene;

const CRD: &str = "paiinstances.pai.tencentcloud.io";
const RELEASE: &str = "pai-operator";
const NAMESPACE: &str = "--namespace=pai-system";

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/pai-operator")
}

/// A copy of the chart as an older version was: another version number, and a CRD that lacks the column `Reason`.
fn older_chart(folder: &Path) -> String {
    let copy = folder.join("older-chart");
    copy_all(&chart(), &copy);
    let edit = |file: &str, change: &dyn Fn(&str) -> String| {
        let path = copy.join(file);
        let before = fs::read_to_string(&path).unwrap();
        let after = change(&before);
        assert_ne!(before, after, "{file} was not changed");
        fs::write(path, after).unwrap();
    };
    edit("Chart.yaml", &|text| text.replace("version: 0.1.0", "version: 0.0.9"));
    edit("files/crds/pai.tencentcloud.io_paiinstances.yaml", &|text| text.replace("name: Reason\n", "name: Why\n"));
    copy.to_str().unwrap().to_owned()
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
        if path.is_dir() {
            copy_all(&path, &target);
        } else {
            fs::copy(path, target).unwrap();
        }
    }
}

/// Without the CRD nothing is seen any more, and nothing can be: the probe says so, and that it is over.
#[test]
fn a_crd_that_is_removed_shows_until_it_is_back() {
    let scene = Scene::cluster_wide();
    let ready = || scene.stack.operator().health("/readyz").map_err(|error| error.to_string());
    scene.stack.kubectl(&["delete", "crd", CRD]).ok().unwrap();
    scene.until("the probe to tell", || match ready()? {
        (503, body) if body.contains("was the CustomResourceDefinition removed?") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let file = chart().join("files/crds/pai.tencentcloud.io_paiinstances.yaml");
    scene.stack.apply(&fs::read_to_string(file).unwrap()).ok().unwrap();
    scene.until("the probe to be content", || match ready()? {
        (200, _) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    scene.instance("apple", |_| {});
    scene.wait_ready("apple");
}

struct Life {
    scene: Scene,
    uid: Value,
    ids: Value,
}

impl Life {
    fn helm(&self, args: &[&str]) {
        self.scene.stack.control_plane().helm(&[args, &[NAMESPACE]].concat()).ok().unwrap();
    }

    /// A new pod of what the release says now, as the Deployment would start it.
    fn restart(&self) {
        self.scene.stack.operator().terminate().unwrap();
        self.scene.stack.operator().start_new_pod().unwrap();
        self.scene.stack.operator().wait_ready().unwrap();
    }

    fn columns(&self) -> Vec<String> {
        let crd = self.scene.stack.get(&["crd", CRD]).unwrap();
        let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap();
        columns.iter().map(|column| column["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The same object has the same machine, and nothing else was bought.
    fn nothing_is_lost(&self, after: &str) {
        let object = self.scene.object("apple");
        assert_eq!((&object["metadata"]["uid"], &object["status"]["instanceIds"]), (&self.uid, &self.ids), "{after}");
        assert_eq!(object["metadata"]["deletionTimestamp"], Value::Null, "{after}");
        assert_eq!(self.scene.creates().len(), 1, "{after}");
        let machines = self.scene.stack.simulator().instances().unwrap();
        assert_eq!(machines.len(), 1, "{after}: {machines:?}");
    }
}

#[test]
fn upgrade_rollback_uninstall_and_reinstall_lose_nothing() {
    let scene = Scene::cluster_wide();
    let older = older_chart(scene.stack.control_plane().folder());
    let release = ["upgrade", RELEASE, &older, "--reuse-values", NAMESPACE];
    scene.stack.control_plane().helm(&release).ok().unwrap();
    scene.instance("apple", |_| ());
    scene.wait_ready("apple");
    let object = scene.object("apple");
    let life = Life { uid: object["metadata"]["uid"].clone(), ids: object["status"]["instanceIds"].clone(), scene };
    assert!(life.columns().contains(&"Why".to_owned()), "{:?}", life.columns());

    life.scene.stack.upgrade(&json!({"log": {"level": "debug"}})).unwrap();
    life.restart();
    assert!(life.columns().contains(&"Reason".to_owned()), "an upgrade must bring the new CRD: {:?}", life.columns());
    life.scene.wait_ready("apple");
    life.nothing_is_lost("the upgrade");

    life.helm(&["rollback", RELEASE, "2"]);
    life.restart();
    assert!(life.columns().contains(&"Why".to_owned()), "{:?}", life.columns());
    life.scene.wait_ready("apple");
    life.nothing_is_lost("the rollback");

    life.scene.stack.operator().terminate().unwrap();
    life.helm(&["uninstall", RELEASE]);
    life.nothing_is_lost("the uninstall");

    life.scene.stack.upgrade(&json!({})).unwrap();
    life.scene.stack.operator().start_new_pod().unwrap();
    life.scene.stack.operator().wait_ready().unwrap();
    life.scene.wait_ready("apple");
    life.nothing_is_lost("the reinstallation");
    life.scene.delete("apple");
    assert!(life.scene.stack.simulator().instances().unwrap().is_empty());
}
