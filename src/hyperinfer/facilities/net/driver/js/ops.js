// The operations of a frame; the same numbers stand in protocol/frames.py.
module.exports = {
  // from Python
  START: 1,
  OPEN: 2,
  LISTEN: 3,
  ADMIT: 4,
  SHUT: 5,
  ANNOUNCE: 6,
  WITHDRAW: 7,
  LOOKUP: 8,
  CONNECT: 9,
  CLOSE: 10,
  MEASURE: 15,
  WHEREABOUTS: 16,
  // both ways
  REQUEST: 11,
  EVENT: 12,
  RESULT: 13,
  ERROR: 14,
  // from the driver
  LINK_OPENED: 20,
  LINK_CLOSED: 21,
  PAUSE: 22,
  RESUME: 23,
  STATUS: 24
}
