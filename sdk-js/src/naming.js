// camelCase, as JavaScript and the RPC have it; snake_case, as the HTTP API.

export function toSnake(name) {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

// The names of the first level only: what is deeper is OpenAI's own, or the caller's. What is null is left out.
export function snakeFields(object) {
  return Object.fromEntries(given(object).map(([name, value]) => [toSnake(name), value]))
}

export function givenFields(object) {
  return Object.fromEntries(given(object))
}

// The names of every level.
export function camel(value) {
  if (Array.isArray(value)) return value.map(camel)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [toCamel(name), camel(one)]))
}

function toCamel(name) {
  return name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase())
}

function given(object) {
  return Object.entries(object).filter(([, value]) => value !== undefined && value !== null)
}
