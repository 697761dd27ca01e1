//! The line of every instruction of much of the standard library equals `PyCode_Addr2Line`.

use std::process::Command;

use pitviper::event::{CodeRecord, ProcessId, RawBytes, RawString};
use pitviper::python::{Code, Version};
use serde::Deserialize;

use super::installed::{Installed, supported};
use super::program::data;

/// Every how many-th module is compiled.
const STEP: &str = "3";

#[derive(Deserialize)]
struct Table {
    first: i32,
    table: String,
    lines: Vec<i32>,
}

#[test]
fn every_instruction_has_the_line_that_the_interpreter_gives() {
    for Installed { path, version } in supported() {
        let output = Command::new(&path)
            .args(["-W", "ignore"])
            .arg(data("line_tables.py"))
            .arg(STEP)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut tables = 0;
        let mut instructions = 0;
        for line in output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            let table = serde_json::from_slice::<Table>(line).unwrap();
            tables += 1;
            instructions += table.lines.len();
            compare(version, &table);
        }
        assert!(tables > 1000 && instructions > 50_000, "{version}: {tables}, {instructions}");
    }
}

fn compare(version: Version, table: &Table) {
    let code = Code::decode(&record(table), version).unwrap();
    for (index, &expected) in table.lines.iter().enumerate() {
        let address = index as i64 * 2 - 2;
        let instruction = match version.minor {
            // `f_lasti` is an index of bytes, then of code units.
            8 | 9 => (address as i32).cast_unsigned().into(),
            10 => (address as i32 / 2).cast_unsigned().into(),
            _ => address.cast_unsigned(),
        };
        let Some(frame) = code.frame(instruction) else {
            assert!(version.minor >= 11 && address < 0);
            continue;
        };
        let expected = u32::try_from(expected).unwrap_or(0);
        assert_eq!(frame.line, expected, "{version}: {address} of {}", table.table);
    }
}

fn record(table: &Table) -> CodeRecord {
    let digits = table.table.as_bytes().chunks(2);
    let data: Vec<u8> = digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let name = RawString { address: 8, kind: 1, length: 1, data: b"f".to_vec() };
    CodeRecord {
        space: 0,
        process: ProcessId(1),
        id: 1,
        address: 8,
        first_line: table.first,
        flags: 0,
        first_traceable: 0,
        filename: name.clone(),
        name,
        qualname: None,
        line_table: RawBytes { address: 8, length: data.len() as u64, data },
    }
}
