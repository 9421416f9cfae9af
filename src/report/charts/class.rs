//! Models and services as charts know them: each has a hue that is the same in all of them.

use std::collections::BTreeMap;

use crate::base::UnitId;
use crate::plan::{Plan, Unit, UnitKind};

/// A model or a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Its name in the YAML, or that of the model.
    pub name: String,
    /// What clients call it, where that is another name.
    pub key: Option<String>,
}

/// All of them. Where one stands is its hue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Classes {
    all: Vec<Class>,
    units: BTreeMap<UnitId, usize>,
}

/// The name that the plan gives to what a unit is one of; none of tunnels and clients.
fn name(unit: &Unit) -> Option<&str> {
    match &unit.kind {
        UnitKind::Replica { model, .. } => Some(model.as_str()),
        UnitKind::Service { name } => Some(name.as_str()),
        UnitKind::Tunnel { .. } | UnitKind::Eval { .. } => None,
    }
}

impl Classes {
    /// Those of a plan, in its order.
    pub fn of(plan: &Plan) -> Self {
        let mut classes = Self::default();
        for unit in &plan.units {
            let Some(name) = name(unit) else { continue };
            let known = classes.all.iter().position(|class| class.name == name);
            let index = known.unwrap_or_else(|| {
                let group = plan.groups.iter().find(|group| group.name.as_str() == name);
                let key = group.map(|group| group.key.clone());
                classes.all.push(Class {
                    name: name.to_owned(),
                    key: key.filter(|key| key != name),
                });
                classes.all.len() - 1
            });
            classes.units.insert(unit.id.clone(), index);
        }
        classes
    }

    /// All of them, in the order of their hues.
    pub fn all(&self) -> &[Class] {
        &self.all
    }

    /// The one of this name, or that clients call so.
    pub fn find(&self, name: &str) -> Option<usize> {
        let is = |class: &Class| class.key.as_deref() == Some(name) || class.name == name;
        self.all.iter().position(is)
    }

    /// The same; one that is not known yet is added.
    pub fn know(&mut self, name: &str) -> usize {
        self.find(name).unwrap_or_else(|| {
            self.all.push(Class {
                name: name.to_owned(),
                key: None,
            });
            self.all.len() - 1
        })
    }

    /// What a unit is one of.
    pub fn of_unit(&self, unit: &UnitId) -> Option<usize> {
        self.units.get(unit).copied()
    }

    /// How many units of the plan are one of it.
    pub fn count(&self, class: usize) -> usize {
        self.units.values().filter(|own| **own == class).count()
    }
}
