//! Which order a study belongs to: decided from what both say, never guessed.
//!
//! The Study Instance UID decides when an order names it, because such a UID came from the order
//! in the first place. Otherwise the accession number of the same clinic decides. Either way the
//! patient must be the same and the order must be the only one; everything else waits visibly for
//! a person.

use crate::id::{OrderId, OrganizationId, Phi, Uid};

/// What a study says that an order may be recognised by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyFacts {
    /// Study Instance UID.
    pub uid: Uid,
    /// The clinic that sent it.
    pub clinic: OrganizationId,
    /// Patient ID.
    pub patient_id: Phi<String>,
    /// Accession Number; `None` when absent or empty.
    pub accession: Option<String>,
}

/// An order that has no study yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub order: OrderId,
    /// The clinic that wrote it.
    pub clinic: OrganizationId,
    /// Patient ID.
    pub patient_id: Phi<String>,
    /// Accession Number, where the clinic gave one.
    pub accession: Option<String>,
    /// Study Instance UID, where it is known beforehand.
    pub study_uid: Option<Uid>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// This order and no other.
    One(OrderId),
    /// No order speaks of the study.
    None,
    /// Several orders speak of it, or the one that does is for another patient: a person decides.
    Ambiguous,
}

/// Finds the order of a study among the clinic's orders that have none yet.
pub fn match_order(study: &StudyFacts, candidates: &[Candidate]) -> Match {
    let of_clinic = || candidates.iter().filter(|order| order.clinic == study.clinic);
    let by_uid: Vec<_> =
        of_clinic().filter(|order| order.study_uid.as_ref() == Some(&study.uid)).collect();
    if !by_uid.is_empty() {
        return only(study, &by_uid);
    }
    let accession = study.accession.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let Some(accession) = accession else { return Match::None };
    // An order that names another study is not for this one, whatever its accession number says.
    let by_accession: Vec<_> = of_clinic()
        .filter(|order| order.study_uid.is_none())
        .filter(|order| order.accession.as_deref().map(str::trim) == Some(accession))
        .collect();
    only(study, &by_accession)
}

fn only(study: &StudyFacts, orders: &[&Candidate]) -> Match {
    match orders {
        [] => Match::None,
        [order] if same_patient(&order.patient_id, &study.patient_id) => {
            Match::One(order.order.clone())
        }
        _ => Match::Ambiguous,
    }
}

/// Spaces around an identifier mean nothing (PS3.5 6.2, VR LO); an empty one identifies nobody.
fn same_patient(a: &Phi<String>, b: &Phi<String>) -> bool {
    let (a, b) = (a.reveal().trim(), b.reveal().trim());
    !a.is_empty() && a == b
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{SeededEntropy, Timestamp};

    struct Scene {
        clinic: OrganizationId,
        entropy: SeededEntropy,
    }

    impl Scene {
        fn new() -> Self {
            let entropy = SeededEntropy::new(5);
            Self { clinic: OrganizationId::new(Timestamp::default(), &entropy), entropy }
        }

        fn study(&self, accession: Option<&str>) -> StudyFacts {
            StudyFacts {
                uid: uid("1.2.3"),
                clinic: self.clinic.clone(),
                patient_id: Phi::new("P1".to_owned()),
                accession: accession.map(str::to_owned),
            }
        }

        fn order(&self, patient: &str, accession: Option<&str>, study: Option<&str>) -> Candidate {
            Candidate {
                order: OrderId::new(Timestamp::default(), &self.entropy),
                clinic: self.clinic.clone(),
                patient_id: Phi::new(patient.to_owned()),
                accession: accession.map(str::to_owned),
                study_uid: study.map(uid),
            }
        }
    }

    fn uid(text: &str) -> Uid {
        Uid::parse(text).expect("a UID")
    }

    #[test]
    fn the_study_uid_decides_before_the_accession_number() {
        let scene = Scene::new();
        let named = scene.order("P1", None, Some("1.2.3"));
        let other = scene.order("P1", Some("A1"), None);
        let found = match_order(&scene.study(Some("A1")), &[other, named.clone()]);
        assert_eq!(found, Match::One(named.order));
    }

    #[test]
    fn one_accession_number_of_the_same_patient_is_a_match() {
        let scene = Scene::new();
        let order = scene.order("P1 ", Some("A1"), None);
        let other = scene.order("P1", Some("A2"), None);
        let found = match_order(&scene.study(Some(" A1")), &[order.clone(), other]);
        assert_eq!(found, Match::One(order.order));
    }

    #[test]
    fn another_patient_or_a_second_order_is_for_a_person() {
        let scene = Scene::new();
        let study = scene.study(Some("A1"));
        let wrong = scene.order("P2", Some("A1"), None);
        let right = scene.order("P1", Some("A1"), None);
        assert_eq!(match_order(&study, std::slice::from_ref(&wrong)), Match::Ambiguous);
        assert_eq!(match_order(&study, &[right.clone(), wrong]), Match::Ambiguous);
        assert_eq!(match_order(&study, &[right.clone(), right]), Match::Ambiguous);
        let by_uid = scene.order("P2", None, Some("1.2.3"));
        assert_eq!(match_order(&study, &[by_uid]), Match::Ambiguous);
    }

    #[test]
    fn nothing_is_guessed() {
        let scene = Scene::new();
        let strange = Candidate {
            clinic: OrganizationId::new(Timestamp::from_micros(7_000_000), &scene.entropy),
            ..scene.order("P1", Some("A1"), Some("1.2.3"))
        };
        let bound_elsewhere = scene.order("P1", Some("A1"), Some("1.2.4"));
        let without_numbers = scene.order("P1", None, None);
        let empty_number = scene.order("P1", Some(""), None);
        let all = [strange, bound_elsewhere, without_numbers, empty_number];
        assert_eq!(match_order(&scene.study(Some("A1")), &all), Match::None);
        assert_eq!(match_order(&scene.study(None), &all), Match::None);
        assert_eq!(match_order(&scene.study(Some(" ")), &all), Match::None);
        let nobody = StudyFacts { patient_id: Phi::new(String::new()), ..scene.study(Some("A1")) };
        let order = scene.order("", Some("A1"), None);
        assert_eq!(match_order(&nobody, &[order]), Match::Ambiguous);
    }
}
