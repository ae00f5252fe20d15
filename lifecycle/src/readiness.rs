//! Readiness as latches: a process is ready when every component has released its own.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// The latches of one process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    components: Arc<Mutex<Vec<Component>>>,
}

/// One component's latch. Dropping it leaves the component as it is.
#[derive(Debug, Clone)]
pub struct Latch {
    readiness: Readiness,
    index: usize,
}

/// What `/ready` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether every component is ready.
    pub ready: bool,
    /// Each component, in the order in which they registered.
    pub components: Vec<Component>,
}

/// One component's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Component {
    /// For example `kafka`.
    pub name: Cow<'static, str>,
    /// Whether it lets the process be ready.
    pub ready: bool,
    /// Why not, or what works in a reduced way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Whether only a new start can help; then the process is not alive either.
    #[serde(skip)]
    pub is_stuck: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    Unready,
    Stuck,
}

impl Report {
    /// The first component that only a new start can help.
    pub fn stuck(&self) -> Option<&Component> {
        self.components.iter().find(|component| component.is_stuck)
    }
}

impl Readiness {
    /// No latches: ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a component, which is not ready until it says so.
    pub fn latch(&self, name: impl Into<Cow<'static, str>>) -> Latch {
        let mut components = self.components.lock().unwrap_or_else(PoisonError::into_inner);
        components.push(Component {
            name: name.into(),
            ready: false,
            detail: Some("starting".to_owned()),
            is_stuck: false,
        });
        Latch {
            readiness: self.clone(),
            index: components.len() - 1,
        }
    }

    /// The state of everything.
    pub fn report(&self) -> Report {
        let components = self.components.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Report {
            ready: components.iter().all(|component| component.ready),
            components,
        }
    }
}

impl Latch {
    /// The component works.
    pub fn ready(&self) {
        self.set(State::Ready, None);
    }

    /// The component works in a reduced way that an operator should know of.
    pub fn degraded(&self, detail: impl Into<String>) {
        self.set(State::Ready, Some(detail.into()));
    }

    /// The component does not work; `reason` is for the operator.
    pub fn unready(&self, reason: impl Into<String>) {
        self.set(State::Unready, Some(reason.into()));
    }

    /// The component does not work, and will not without a new start of the process: `/health` says so to the supervisor.
    pub fn stuck(&self, reason: impl Into<String>) {
        self.set(State::Stuck, Some(reason.into()));
    }

    fn set(&self, state: State, detail: Option<String>) {
        let ready = state == State::Ready;
        let mut components = self.readiness.components.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(component) = components.get_mut(self.index) else {
            return;
        };
        if component.ready != ready {
            let reason = detail.as_deref().unwrap_or("-");
            tracing::info!(component = %component.name, ready, reason, "readiness changed");
        }
        metrics::gauge!("component_ready", "component" => component.name.clone()).set(f64::from(u8::from(ready)));
        component.ready = ready;
        component.is_stuck = state == State::Stuck;
        component.detail = detail;
    }
}

#[cfg(test)]
mod tests {
    use super::Readiness;

    #[test]
    fn a_process_is_ready_when_every_component_is() {
        let readiness = Readiness::new();
        let (log, keys) = (readiness.latch("log"), readiness.latch("keys"));
        assert!(!readiness.report().ready);
        log.ready();
        assert!(!readiness.report().ready);
        keys.degraded("redis does not answer");
        assert!(readiness.report().ready);
        log.unready("no broker answers");
        assert!(!readiness.report().ready);
        assert_eq!(readiness.report().stuck(), None);
        log.stuck("nothing moves");
        assert!(
            readiness
                .report()
                .stuck()
                .is_some_and(|component| component.name == "log")
        );
        log.ready();
        assert!(readiness.report().ready && readiness.report().stuck().is_none());
    }
}
