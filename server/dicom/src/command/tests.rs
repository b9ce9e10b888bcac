//! Command sets: round trips, and what is refused in which way.

use super::*;

fn uid(text: &str) -> Uid {
    Uid::parse(text).expect("a UID")
}

fn store_command() -> StoreCommand {
    StoreCommand {
        message_id: 7,
        sop_class: uid("1.2.840.10008.5.1.4.1.1.2"),
        sop_instance: uid("1.2.3.4"),
        priority: Priority::High,
        move_originator: Some(MoveOriginator { ae_title: "MOVER".into(), message_id: 9 }),
    }
}

#[test]
fn requests_come_back_as_written() {
    assert_eq!(Command::parse(&echo_request(3)), Ok(Command::Echo { message_id: 3 }));
    let command = store_command();
    assert_eq!(Command::parse(&store_request(&command)), Ok(Command::Store(command)));
}

#[test]
fn responses_carry_status_and_a_short_plain_comment() {
    let long = "磁盘\\full ".repeat(30);
    let reply = Reply::new(Status::OUT_OF_RESOURCES, long);
    let bytes = response(C_STORE_RQ, 12, Some(("1.2", "1.2.3")), &reply);
    let Ok(Command::Response(response)) = Command::parse(&bytes) else {
        panic!("a response was written");
    };
    assert_eq!((response.field, response.message_id), (0x8001, 12));
    assert_eq!(response.reply.status, Status::OUT_OF_RESOURCES);
    let comment = response.reply.comment.expect("a comment was written");
    assert!(comment.len() <= 64 && comment.starts_with("???full"), "{comment}");
}

#[test]
fn every_command_set_has_even_elements_and_a_true_group_length() {
    let bytes = store_request(&store_command());
    assert_eq!(bytes.len() % 2, 0);
    assert_eq!(&bytes[..8], &[0, 0, 0, 0, 4, 0, 0, 0]);
    let length = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    assert_eq!(length as usize, bytes.len() - 12);
}

#[test]
fn a_hostile_uid_is_refused_with_a_status_and_not_with_an_abort() {
    for (instance, status) in [(&b"../../x"[..], 0x0117), (b"1.2\0.3\0", 0x0117), (b"", 0x0117)] {
        let bytes = command_set(|out| {
            put_uid(tag::AFFECTED_SOP_CLASS, "1.2.840.10008.5.1.4.1.1.2", out);
            put_u16(tag::COMMAND_FIELD, C_STORE_RQ, out);
            put_u16(tag::MESSAGE_ID, 5, out);
            put_u16(tag::DATA_SET_TYPE, DATA_SET_FOLLOWS, out);
            put_padded(tag::AFFECTED_SOP_INSTANCE, instance, 0, out);
        });
        let Ok(Command::Unacceptable(refused)) = Command::parse(&bytes) else {
            panic!("refused");
        };
        assert_eq!(refused.reply.status.0, status);
        assert!(refused.has_data_set);
    }
}

#[test]
fn unknown_operations_are_answered_and_cancel_is_not() {
    let find = command_set(|out| {
        put_u16(tag::COMMAND_FIELD, 0x0020, out);
        put_u16(tag::MESSAGE_ID, 5, out);
        put_u16(tag::DATA_SET_TYPE, DATA_SET_FOLLOWS, out);
    });
    let Ok(Command::Unacceptable(refused)) = Command::parse(&find) else {
        panic!("refused");
    };
    assert_eq!(refused.reply.status, Status::UNRECOGNIZED_OPERATION);
    assert_eq!((refused.field, refused.message_id), (0x0020, 5));
    let cancel = command_set(|out| put_u16(tag::COMMAND_FIELD, C_CANCEL_RQ, out));
    assert_eq!(Command::parse(&cancel), Ok(Command::Cancel));
}

#[test]
fn bytes_that_are_no_command_set_are_malformed() {
    let whole = store_request(&store_command());
    for end in 1..whole.len() {
        let outcome = Command::parse(&whole[..end]);
        assert!(!matches!(outcome, Ok(Command::Store(_))) || end > 100, "cut at {end}");
    }
    assert_eq!(Command::parse(&[8, 0, 0, 0, 0, 0, 0, 0]), Err(CommandError::Malformed));
    assert_eq!(Command::parse(&[0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF]), Err(CommandError::Malformed));
    assert_eq!(Command::parse(&[]), Err(CommandError::Missing("command field")));
}
