// Runs the story that its argument names, in a browser, by clicking only.
import * as stories from './told.mjs'

await stories[process.argv[2]]()
