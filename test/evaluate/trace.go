package main

// conversations are the requests in each 20 s of 40 minutes of a real service: Azure's LLM inference
// trace of 2023, conversations, seconds 400 to 2,800. Source: Azure/AzurePublicDataset,
// data/AzureLLMInferenceTrace_conv.csv (commit b469a113), CC-BY 4.0; Patel et al., Splitwise, ISCA 2024.
var conversations = []float64{
	87, 80, 104, 77, 115, 100, 107, 97, 103, 98, 92, 98, 111, 97, 102, 103, 110, 114, 121, 101,
	107, 118, 92, 95, 96, 88, 95, 96, 85, 89, 106, 103, 114, 91, 106, 110, 127, 127, 96, 128,
	94, 127, 130, 96, 131, 116, 141, 125, 142, 139, 134, 123, 130, 126, 130, 155, 131, 112, 138, 147,
	147, 142, 166, 172, 171, 149, 156, 147, 146, 160, 143, 144, 161, 183, 163, 161, 150, 154, 134, 162,
	116, 135, 139, 132, 152, 114, 149, 155, 159, 167, 139, 103, 105, 103, 114, 110, 105, 102, 99, 115,
	113, 98, 122, 125, 112, 118, 125, 111, 83, 131, 109, 120, 101, 107, 126, 118, 116, 141, 115, 121,
}
