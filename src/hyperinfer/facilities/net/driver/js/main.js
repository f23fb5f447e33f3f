// Entry of the driver process; Python starts it with one end of a socket pair as its standard input.
const Driver = require('./driver')

module.exports = new Driver()
