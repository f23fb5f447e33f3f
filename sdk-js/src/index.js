// What the package gives; `index.d.ts` describes it.
export { AIInferenceClient } from './client.js'
export { AIInferenceError } from './errors.js'
