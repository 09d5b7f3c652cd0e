import { mount } from 'svelte'
import { base } from './lib/api.js'
import { startRouter } from './lib/router.svelte.js'
import { begin, paint } from './lib/session.svelte.js'
import App from './App.svelte'
import 'uplot/dist/uPlot.min.css'
import './app.css'

document.querySelector('base').href = base // it no longer depends on the address
paint()
startRouter()
begin()
mount(App, { target: document.body })
